"""A real Argo CD beside the cluster: controller, repo server, API server, Redis, as processes.

It keeps its settings and Applications in a namespace of its own, so that several can run at once.
"""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from tests.harness import go_tools, kube, network, packages
from tests.harness.cluster import Cluster
from tests.harness.processes import Processes
from tests.harness.readiness import answers
from tests.harness.setup import ROOT, run

from belay.shell.resources import Resource

APPLICATIONS = Resource("argoproj.io", "v1alpha1", "applications", "Application")
PROJECTS = Resource("argoproj.io", "v1alpha1", "appprojects", "AppProject")
SETS = Resource("argoproj.io", "v1alpha1", "applicationsets", "ApplicationSet")
SHIPPED = ROOT / "deploy/argocd"
_CRDS = ("application-crd.yaml", "appproject-crd.yaml", "applicationset-crd.yaml")
_IMPATIENT = {
    "self-heal-timeout-seconds": 1,
    "self-heal-backoff-timeout-seconds": 1,
    "self-heal-backoff-factor": 1,
    "self-heal-backoff-cap-seconds": 1,
    "self-heal-backoff-cooldown-seconds": 1,
    "app-resync": 5,
    "app-resync-jitter": 0,
}
"""As shipped it heals with a back-off of up to 300 s, and looks every 120 s."""


def _redis() -> str:
    packages.need(packages.REDIS)
    return shutil.which("redis-server") or ""


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run. Raises `SetupError` where it cannot be had."""

    argocd: Path = field(default_factory=lambda: go_tools.program(go_tools.ARGO_CD))
    redis: str = field(default_factory=_redis)


def install_crds(cluster: Cluster) -> None:
    """Its CRDs, as it ships them."""
    folder = go_tools.source(go_tools.ARGO_CD) / "manifests/crds"
    files = [word for name in _CRDS for word in ("-f", str(folder / name))]
    cluster.kubectl("apply", "--server-side", *files)
    cluster.until_served(APPLICATIONS, PROJECTS, SETS)


@dataclass(frozen=True, slots=True)
class Running:
    """An Argo CD: the namespace of its Applications, and its command line."""

    namespace: str
    argocd: Path
    server: str
    home: Path

    def cli(self, *words: str) -> str:
        """Run `argocd`, as somebody who is logged in; gives what it printed.

        Raises `SetupError` with its last words where it fails. Not by `--core`, which looks for the
        pods of Argo CD.
        """
        self.home.mkdir(exist_ok=True)
        told = {"ARGOCD_BINARY_NAME": "argocd", "ARGOCD_CONFIG_DIR": str(self.home)}
        command: list[str | Path] = [self.argocd, *words, "--server", self.server, "--plaintext"]
        return run(command, env={**told, "no_proxy": "*"})


@contextmanager
def running(programs: Programs, cluster: Cluster, folder: Path) -> Iterator[Running]:
    """An Argo CD with the settings that Belay ships."""
    with kube.namespace(cluster, "argocd") as namespace:
        _settle(cluster, namespace)
        processes = Processes(folder / "processes", owned=True)
        kubeconfig = _kubeconfig(cluster, namespace, folder)
        try:
            server = _start(processes, programs, kubeconfig, folder)
            yield Running(namespace, programs.argocd, server, folder / "cli")
        finally:
            processes.stop()


def _settle(cluster: Cluster, namespace: str) -> None:
    settings = go_tools.source(go_tools.ARGO_CD) / "manifests/base/config"
    where = ["-n", namespace, "--server-side"]
    cluster.kubectl("apply", *where, "-k", str(settings))
    cluster.kubectl("apply", *where, "-f", str(SHIPPED / "argocd-cm.yaml"))
    key = {"stringData": {"server.secretkey": secrets.token_hex(16)}}  # its API server makes one
    cluster.kubectl("patch", "secret", "argocd-secret", "-n", namespace, "-p", json.dumps(key))
    everything = [{"group": "*", "kind": "*"}]
    project = {
        "apiVersion": PROJECTS.api_version,
        "kind": PROJECTS.kind,
        "metadata": {"name": "default"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": everything,
        },
    }
    cluster.apply(project, namespace=namespace)


def _kubeconfig(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """The administrator's, with Argo CD's own namespace as the current one."""
    view = cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    config: dict[str, Any] = json.loads(view)
    config["contexts"][0]["context"]["namespace"] = namespace
    path = folder / "argocd.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def _start(processes: Processes, programs: Programs, kubeconfig: Path, folder: Path) -> str:
    """Start all of it; gives the address of its API server."""
    redis, repo, repo_metrics, metrics, api, api_metrics = network.free_ports(6)
    local = "127.0.0.1"
    processes.start(
        "redis",
        [programs.redis, "--port", str(redis), "--bind", local, "--save", "", "--dir", str(folder)],
    )
    common = ["--redis", f"{local}:{redis}"]
    server = [*common, "--address", local, "--port", str(repo), "--disable-tls"]
    server += ["--metrics-address", local, "--metrics-port", str(repo_metrics)]
    server += ["--revision-cache-expiration", "1s"]
    _run(processes, programs, "argocd-repo-server", server, kubeconfig)
    asks = [*common, "--repo-server", f"{local}:{repo}", "--repo-server-plaintext"]
    asks += ["--kubeconfig", str(kubeconfig), "--namespace", _namespace(kubeconfig)]
    controller = [*asks, "--metrics-port", str(metrics), "--persist-resource-health"]
    controller += [f"--{flag}={value}" for flag, value in _IMPATIENT.items()]
    _run(processes, programs, "argocd-application-controller", controller, kubeconfig)
    people = [*asks, "--address", local, "--port", str(api), "--insecure", "--disable-auth"]
    people += ["--metrics-address", local, "--metrics-port", str(api_metrics)]
    _run(processes, programs, "argocd-server", people, kubeconfig)
    ports = {"repo-server": repo_metrics, "application-controller": metrics, "server": api}
    for name, port in ports.items():
        healthy = partial(answers, f"http://{local}:{port}/healthz")
        processes.await_("health", f"argocd-{name}", healthy)
    return f"{local}:{api}"


def _run(
    processes: Processes, programs: Programs, name: str, options: Sequence[str], kubeconfig: Path
) -> None:
    """One program is all of Argo CD: it is what it is called."""
    own = kubeconfig.parent / name
    for part in ("tls", "ssh", "plugins", "tmp"):
        (own / part).mkdir(parents=True)
    environment: Mapping[str, object] = {
        "ARGOCD_BINARY_NAME": name,
        "KUBECONFIG": kubeconfig,  # with FAKE_IN_CLUSTER: what it takes for its own cluster
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": own / "tls",
        "ARGOCD_SSH_DATA_PATH": own / "ssh",
        "ARGOCD_PLUGINSOCKFILEPATH": own / "plugins",
        "TMPDIR": own / "tmp",
    }
    words = [f"{key}={value}" for key, value in environment.items()]
    processes.start(name, ["env", *words, programs.argocd, *options])


def _namespace(kubeconfig: Path) -> str:
    return str(json.loads(kubeconfig.read_text())["contexts"][0]["context"]["namespace"])


def application(name: str, repository: Path, namespace: str) -> dict[str, Any]:
    """The shipped sample, for another repository: a plain folder on its branch `main`."""
    body: dict[str, Any] = yaml.safe_load((SHIPPED / "application.yaml").read_text())
    body["metadata"] = {"name": name}
    body["spec"]["source"] |= {"repoURL": f"file://{repository}", "path": "."}
    body["spec"]["destination"]["namespace"] = namespace
    return body


@dataclass(frozen=True, slots=True)
class Repository:
    """A Git repository on this disk, whose branch `main` is what should be."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, message: str, files: Mapping[str, object]) -> str:
        """Write objects as files, and commit them; gives the commit."""
        for name, body in files.items():
            (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(body))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head()

    def revert(self, commit: str) -> str:
        """Take a commit back, by another one."""
        self.git("revert", "--no-edit", commit)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
        return run(["git", *who, "-c", "commit.gpgsign=false", *words], cwd=self.folder)
