"""Where the cluster is and who we are there: kubeconfig, or the pod's ServiceAccount."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import incluster_config, kube_config

_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Login:
    """What any HTTP client needs to speak to the API server; paths are those of PEM files."""

    server: str
    ca_path: str | None
    verify: bool
    certificate_path: str | None
    key_path: str | None
    authorization: str | None = field(repr=False)
    """Value of the Authorization header. It expires: ask again now and then, and after a 401."""
    proxy: str | None


async def configure(kubeconfig: str | None, context: str | None) -> tuple[Configuration, str]:
    """The client's configuration, and the namespace that it is in by default.

    Raises `ConnectionError` where there is neither a kubeconfig nor a ServiceAccount.
    """
    # Else aiohttp reads netrc and the environment for each request anew, in threads.
    configuration = Configuration(client_session_kwargs={"trust_env": False})
    namespace = await _load(configuration, kubeconfig, context)
    configuration.proxy = configuration.proxy or proxy_of_environment(configuration.host)
    return configuration, namespace


def proxy_of_environment(server: str) -> str | None:
    """The proxy to this server by HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""
    url = urlsplit(server)
    if proxy_bypass(url.netloc):
        return None
    return getproxies().get(url.scheme)


async def _load(configuration: Configuration, kubeconfig: str | None, context: str | None) -> str:
    """Fill the configuration in; gives the namespace."""
    if kubeconfig is None and context is None and _IN_CLUSTER.exists():
        incluster_config.load_incluster_config(client_configuration=configuration)
        return (_IN_CLUSTER.parent / "namespace").read_text().strip()
    try:
        await kube_config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration
        )
        contexts, active = kube_config.list_kube_config_contexts(config_file=kubeconfig)
    except kube_config.ConfigException as error:
        raise ConnectionError(f"no cluster: {error}") from error
    chosen = next((c for c in contexts if c["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")


async def read_login(kubeconfig: str | None, context: str | None) -> Login:
    """Read afresh, so that a rotated token is seen. Raises `ConnectionError` as `configure`."""
    configuration, _ = await configure(kubeconfig, context)
    return Login(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        verify=configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        key_path=configuration.key_file,
        authorization=await configuration.get_api_key_with_prefix("BearerToken"),
        proxy=configuration.proxy,
    )
