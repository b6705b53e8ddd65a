"""The cluster that tests and the demo talk to, whatever kind it is."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.harness import binaries, images
from tests.harness.audit import AuditLog
from tests.harness.containers import Containerd
from tests.harness.direct import direct
from tests.harness.images import Image
from tests.harness.local import LocalCluster
from tests.harness.setup import ROOT, SetupError, run, say, state_home

from belay.shell.errors import NotFound, Unavailable
from belay.shell.resources import REVISIONS, WORKFLOWS, Resource


class Kind(StrEnum):
    """What a cluster is made of."""

    LOCAL = "local"
    """A whole cluster on this machine: real pods, no Docker. Linux, root."""
    CONTROL_PLANE = "control-plane"
    """etcd and the API server alone: for anyone; what needs pods is skipped."""
    KIND = "kind"
    """Kubernetes in Docker, by the `kind` command."""
    EXISTING = "existing"
    """The cluster of the current kubeconfig context."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: all that a test process has to know to use it."""

    kind: Kind
    kubeconfig: Path
    kubectl_path: str
    has_pods: bool
    audit_log: Path | None = None
    """The API server's audit log, where the harness runs the API server."""
    state: Path | None = None
    """The folder of a local cluster's node."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and give what it printed."""
        command = [self.kubectl_path, "--kubeconfig", str(self.kubeconfig), *arguments]
        return run(command, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: Any, namespace: str | None = None) -> None:
        """Server-side apply of objects given as dictionaries."""
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        where = ["--namespace", namespace] if namespace else []
        self.kubectl("apply", "--server-side", *where, "--filename", "-", stdin=bundle)

    def apply_crds(self) -> None:
        """Apply the CRDs of the repository, and wait until they can be used."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
        self.until_served(WORKFLOWS, REVISIONS)

    def until_served(self, *resources: Resource, seconds: float = 120) -> None:
        """Wait until the API server answers for these resources, and clients find them.

        A CRD may be Established a moment before that, and has no conditions at all at first.
        """
        end = time.monotonic() + seconds
        for resource in resources:
            while (why := self._unserved(resource)) is not None:
                if time.monotonic() > end:
                    raise SetupError(f"{resource.plural}: not served: {why}")
                time.sleep(0.05)

    def _unserved(self, resource: Resource) -> str | None:
        server = direct(self.kubeconfig)
        try:
            server.read(f"{resource.path(None)}?limit=1")
            told = server.read(f"/apis/{resource.api_version}")
        except (NotFound, Unavailable) as error:
            return str(error)
        listed = any(one["name"] == resource.plural for one in told["resources"])
        return None if listed else "discovery does not list it"

    def audit(self) -> AuditLog | None:
        """The audit log; None where the harness does not run the API server."""
        return AuditLog(self.audit_log, self.kubeconfig) if self.audit_log else None

    @property
    def takes_images(self) -> bool:
        """Whether `load_image` can reach the nodes; else the images have to be there already."""
        return self.has_pods and (self.kind is Kind.KIND or self.state is not None)

    def load_image(self, image: Image) -> None:
        """Make an image known to the nodes, so that pods can use it without a registry."""
        if self.kind is Kind.KIND:
            run(["kind", "load", "image-archive", image.archive, "--name", _KIND_NAME])
        elif self.state is not None and self.has_pods:
            Containerd(self.state).load(image.archive)
        else:
            raise SetupError(f"{self.kind}: {image.name} has to be on the nodes already")

    def to_json(self) -> str:
        """A text that `from_json` makes the same cluster of, in another process."""
        return json.dumps({**asdict(self)}, default=str)

    @classmethod
    def from_json(cls, text: str) -> "Cluster":
        """The cluster that `to_json` described."""
        told = json.loads(text)
        for name in ("kubeconfig", "audit_log", "state"):
            told[name] = Path(told[name]) if told[name] is not None else None
        return cls(**{**told, "kind": Kind(told["kind"])})


_KIND_NAME = "belay-test"


@contextmanager
def running(kind: Kind, load: Sequence[Callable[[], Image]] = ()) -> Iterator[Cluster]:
    """A cluster for as long as the block runs; `existing` is used and left as it is."""
    cluster, stop = start(kind, load)
    try:
        yield cluster
    finally:
        stop()


def start(
    kind: Kind, load: Sequence[Callable[[], Image]] = ()
) -> tuple[Cluster, Callable[[], None]]:
    """Start a cluster with the images that `load` makes; also gives the function that ends it.

    Raises `SetupError`, whose message says what this machine can offer instead.
    """
    match kind:
        case Kind.LOCAL:
            require_local()
            made = [images.pause(), *(make() for make in load)]
            local = local_cluster()
            local.start([image.archive for image in made])
            return _described(local), local.stop
        case Kind.CONTROL_PLANE:
            _sweep_control_planes()
            plane = LocalCluster(state_home() / f"control-plane-{os.getpid()}", pods=False)
            plane.start()
            return _described(plane), lambda: _discard(plane)
        case Kind.KIND:
            cluster = _kind()
            stop = _delete_kind
        case Kind.EXISTING:
            cluster = _existing()
            stop = _nothing
    try:
        for make in load if cluster.takes_images else ():
            cluster.load_image(make())
    except BaseException:
        stop()
        raise
    return cluster, stop


@contextmanager
def own_control_plane(
    *, controllers: bool = True, most_bytes: int | None = None
) -> Iterator[Cluster]:
    """API server and controllers of the caller's own, for what would disturb others: CRDs.

    etcd holds up to `most_bytes`.
    """
    home = state_home() / f"control-plane-{os.getpid()}-own"
    plane = LocalCluster(home, pods=False, controllers=controllers, most_bytes=most_bytes)
    plane.start()
    try:
        yield _described(plane)
    finally:
        _discard(plane)


def default_kind() -> Kind:
    """The best that this machine can do."""
    return Kind.LOCAL if _why_not_local() is None else Kind.CONTROL_PLANE


def local_cluster(*, owned: bool = True) -> LocalCluster:
    """The one local cluster of this machine."""
    return LocalCluster(state_home() / "local", owned=owned)


def _why_not_local() -> str | None:
    if sys.platform != "linux":
        return f"CLUSTER=local needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "CLUSTER=local needs root, because it runs real pods"
    return None


def require_local() -> None:
    """Raise `SetupError`, with what this machine can do instead, where `local` cannot run."""
    if reason := _why_not_local():
        raise SetupError(
            f"{reason}. Instead: CLUSTER=control-plane (etcd and API server; tests of pods are "
            "skipped), CLUSTER=kind (Docker), or CLUSTER=existing (the current kubeconfig context)"
        )


def _described(local: LocalCluster) -> Cluster:
    kind = Kind.LOCAL if local.pods else Kind.CONTROL_PLANE
    programs = binaries.find(binaries.CONTROL_PLANE)
    log = local.state / "audit.log"
    kubectl = str(programs / "kubectl")
    return Cluster(kind, local.kubeconfig, kubectl, local.pods, log, local.state)


def _sweep_control_planes() -> None:
    """Remove control planes whose owners are dead."""
    for home in state_home().glob("control-plane-*"):
        plane = LocalCluster(home, pods=False)
        if plane.holder() is None:
            _discard(plane)


def _discard(plane: LocalCluster) -> None:
    plane.stop()
    shutil.rmtree(plane.home, ignore_errors=True)


def _kind() -> Cluster:
    lacking = [name for name in ("docker", "kind", "kubectl") if not shutil.which(name)]
    if lacking:
        raise SetupError(f"CLUSTER=kind needs {', '.join(lacking)}; see https://kind.sigs.k8s.io")
    kubeconfig = state_home() / "kind.kubeconfig"
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    say("  kind: creating a cluster ...")
    where = ["--name", _KIND_NAME, "--kubeconfig", str(kubeconfig)]
    run(["kind", "create", "cluster", *where, "--wait", "120s"])
    return Cluster(Kind.KIND, kubeconfig, _kubectl(), has_pods=True)


def _delete_kind() -> None:
    run(["kind", "delete", "cluster", "--name", _KIND_NAME])


def _existing() -> Cluster:
    """KUBECONFIG, else a running `make cluster`, else the user's own current context."""
    local = local_cluster()
    given = os.environ.get("KUBECONFIG")
    if local.lives_on() and given in (None, "", str(local.kubeconfig)):
        return replace(_described(local), kind=Kind.EXISTING)
    path = Path(given or Path.home() / ".kube/config")
    if not path.exists():
        raise SetupError(f"CLUSTER=existing: no kubeconfig at {path}; run `make cluster` for one")
    cluster = Cluster(Kind.EXISTING, path, _kubectl(), has_pods=True)
    return replace(cluster, has_pods=bool(cluster.get("nodes")["items"]))


def _kubectl() -> str:
    found = shutil.which("kubectl")
    return found or str(binaries.find(("kubectl",)) / "kubectl")


def _nothing() -> None:
    """What was there before stays."""
