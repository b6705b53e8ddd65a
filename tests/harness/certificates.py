"""The cluster's certificates and kubeconfigs, made by openssl; kept as long as they are valid."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.harness.setup import SetupError, run
from tests.harness.store import content_key

_DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Identity:
    """One certificate: who it names (user as CN, group as O) and, for a server, its addresses."""

    name: str
    user: str
    group: str = ""
    addresses: str = ""

    @property
    def subject(self) -> str:
        """The subject as openssl takes it."""
        return f"/O={self.group}/CN={self.user}" if self.group else f"/CN={self.user}"


@dataclass(frozen=True, slots=True)
class Certificates:
    """A folder with `ca.crt`, `sa.key`, `sa.pub` and `<name>.crt`, `.key` for each identity."""

    folder: Path

    def path(self, name: str) -> Path:
        """A file of the folder, such as `admin.crt`."""
        return self.folder / name

    def ensure(self, identities: tuple[Identity, ...]) -> None:
        """Make all of them, unless they are there for these very identities and for a day more."""
        wanted = content_key(map(repr, identities))
        stamp = self.path("made-for")
        if stamp.exists() and stamp.read_text() == wanted and self._lasts():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stamp.unlink(missing_ok=True)
        self._authority()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._issue, identities))
        stamp.write_text(wanted)

    def kubeconfig(self, identity: str, server: str, folder: Path) -> Path:
        """Write a kubeconfig for one identity and give its path."""
        cluster = {"server": server, "certificate-authority": str(self.path("ca.crt"))}
        user = {
            "client-certificate": str(self.path(f"{identity}.crt")),
            "client-key": str(self.path(f"{identity}.key")),
        }
        path = folder / f"{identity}.kubeconfig"
        path.write_text(json.dumps(kubeconfig(cluster, user), indent=1))
        path.chmod(0o600)
        return path

    def _lasts(self) -> bool:
        try:
            self._openssl("x509", "-in", "ca.crt", "-noout", "-checkend", str(_DAY))
        except SetupError:
            return False
        return True

    def _authority(self) -> None:
        self._key("ca.key")
        self._openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=belay-test-ca",
                      "-days", "30", "-out", "ca.crt")  # fmt: skip
        self._openssl("genrsa", "-out", "sa.key", "2048")
        self._openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")

    def _issue(self, identity: Identity) -> None:
        name = identity.name
        self._key(f"{name}.key")
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", identity.subject,
                      "-out", f"{name}.csr")  # fmt: skip
        extensions = self.path(f"{name}.ext")
        names = identity.addresses
        extensions.write_text(f"subjectAltName={names}\n" if names else "")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                      "-CAcreateserial", "-CAserial", f"{name}.srl", "-days", "30",
                      "-extfile", extensions.name, "-out", f"{name}.crt")  # fmt: skip

    def _key(self, name: str) -> None:
        self._openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", name)

    def _openssl(self, *arguments: str) -> None:
        run(["openssl", *arguments], cwd=self.folder)


def kubeconfig(cluster: Mapping[str, str], user: Mapping[str, str]) -> dict[str, object]:
    """A kubeconfig with one cluster, one user and one context, all named `belay`."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "belay",
        "clusters": [{"name": "belay", "cluster": dict(cluster)}],
        "users": [{"name": "belay", "user": dict(user)}],
        "contexts": [{"name": "belay", "context": {"cluster": "belay", "user": "belay"}}],
    }
