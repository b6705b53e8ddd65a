"""A cluster on this machine without Docker: a whole one with a node, or a control plane alone."""

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import binaries, network, packages
from tests.harness.certificates import Certificates
from tests.harness.components import IDENTITIES, Components, Ports
from tests.harness.containers import Containerd, weigh
from tests.harness.lock import Lock
from tests.harness.processes import Processes
from tests.harness.readiness import UNVERIFIED, Api, answers
from tests.harness.setup import SetupError, say

_LONGEST_STATE = 107 - len("/kubelet/pod-resources/0123456789")
"""The path of a Unix socket has at most 107 characters; kubelet adds the most to ours."""
_DETACHED = "made by `make cluster`"


@dataclass
class LocalCluster:
    """One cluster in one folder.

    `pods`: with a node (Linux, root); else etcd and the API server alone (anyone).
    `controllers`: without a node, but with the controllers of Deployments and the like.
    `owned`: ends with this process, even if that is killed; else lives until `stop`.
    `most_bytes`: what etcd may hold, where that is more than its default.
    """

    home: Path
    pods: bool = True
    owned: bool = True
    controllers: bool = False
    most_bytes: int | None = None
    _lock: Lock = field(init=False)

    def __post_init__(self) -> None:
        self._lock = Lock(self.home / "lock")

    @property
    def state(self) -> Path:
        """What belongs to the running cluster; gone with it."""
        return self.home / "cluster"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "admin.kubeconfig"

    @property
    def containerd(self) -> Containerd:
        """The node's containerd."""
        return Containerd(self.state)

    @property
    def processes(self) -> Processes:
        """The running components."""
        return Processes(self.state / "processes", self.owned)

    def holder(self) -> str | None:
        """Who runs the cluster of this folder, in words; None if nobody does."""
        return self._lock.holder()

    def lives_on(self) -> bool:
        """Whether a complete cluster runs in this folder that no process owns."""
        return (self.holder() or "").startswith(_DETACHED)

    def start(self, images: Sequence[Path] = ()) -> None:
        """Start everything and wait until it can be used; what a dead one left is removed first."""
        if len(str(self.state)) > _LONGEST_STATE:
            raise SetupError(f"{self.state}: too long for sockets; set a shorter XDG_STATE_HOME")
        packages.need(packages.NODE if self.pods else packages.CERTIFICATES)
        programs = binaries.find(self._programs())
        self._lock.take(f"starting, by process {os.getpid()} ({_command_line()})")
        try:
            began = time.monotonic()
            self._sweep()
            self._start(programs, images)
            self._lock.note(self._holder())
            say(f"  cluster: ready in {time.monotonic() - began:.1f} s ({self.home})")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the cluster and remove every trace but the logs, in `<home>/logs`."""
        self._sweep()
        self._lock.free()

    def stop_detached(self) -> None:
        """End a cluster that lives on its own, or what is left of any; never one in use."""
        holder = self.holder()
        if holder and not self.lives_on():
            raise SetupError(f"the local cluster is in use: {holder}")
        self._sweep()

    def _holder(self) -> str:
        if self.owned:
            return f"owned by process {os.getpid()} ({_command_line()})"
        return f"{_DETACHED}, KUBECONFIG={self.kubeconfig}"

    def _start(self, programs: Path, images: Sequence[Path]) -> None:
        self.state.mkdir(parents=True)
        certificates = Certificates(self.home / "pki")
        certificates.ensure(IDENTITIES)
        components = Components(programs, self.state, certificates, Ports.free())
        components.write_kubeconfigs()
        processes = self.processes
        processes.start("etcd", components.etcd(self.most_bytes))
        if self.pods:
            network.up(components.ports.api)
            weigh(favoured=True)
            processes.start("containerd", ["containerd", "-c", self.containerd.configure()])
        api = Api(components.server, certificates)
        etcd = f"http://127.0.0.1:{components.ports.etcd}/health"
        processes.await_("etcd", "etcd", lambda: answers(etcd))
        inherited = [] if self.owned else [self._lock.descriptor()]
        processes.start("kube-apiserver", components.api_server(pods=self.pods), inherited)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(self._load, images) if self.pods else None
            processes.await_("API server", "kube-apiserver", lambda: api.has("/readyz"))
            if loading is not None:
                self._start_node(processes, components, api, loading)
            elif self.controllers:
                self._start_controllers(processes, components, api)

    def _load(self, images: Sequence[Path]) -> None:
        self.processes.await_("containerd", "containerd", self.containerd.answers)
        for image in images:
            self.containerd.load(image)

    def _start_node(
        self, processes: Processes, components: Components, api: Api, loading: Future[None]
    ) -> None:
        processes.start("kubelet", components.kubelet(self.containerd.socket))
        processes.start("kube-scheduler", components.scheduler())
        processes.start("kube-proxy", components.proxy())
        self._start_controllers(processes, components, api)
        processes.await_("node", "kubelet", api.node_ready)
        proxy = f"http://127.0.0.1:{components.ports.proxy_health}/healthz"
        processes.await_("packet rules", "kube-proxy", lambda: answers(proxy))
        scheduler = f"https://127.0.0.1:{components.ports.scheduler}/healthz"
        processes.await_("scheduler", "kube-scheduler", lambda: answers(scheduler, UNVERIFIED))
        loading.result()

    def _programs(self) -> tuple[str, ...]:
        if self.pods:
            return binaries.NODE
        more = ("kube-controller-manager",) if self.controllers else ()
        return (*binaries.CONTROL_PLANE, *more)

    def _start_controllers(self, processes: Processes, components: Components, api: Api) -> None:
        processes.start("kube-controller-manager", components.controllers())
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        processes.await_("ServiceAccount", "kube-controller-manager", lambda: api.has(account))

    def _sweep(self) -> None:
        """Remove what a cluster in this folder left, however it ended."""
        if not self.state.exists():
            return
        self.processes.stop()
        if self.pods:
            self.containerd.sweep()
            network.down()
            network.forget_addresses(self.state)
        self._keep_logs()
        shutil.rmtree(self.state)

    def _keep_logs(self) -> None:
        logs = self.home / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        for log in [*self.state.glob("processes/*.log"), *self.state.glob("audit.log")]:
            log.rename(logs / log.name)


def _command_line() -> str:
    words = Path("/proc/self/cmdline")
    return shlex.join(words.read_text().split("\0")[:-1])[:200] if words.exists() else "python"
