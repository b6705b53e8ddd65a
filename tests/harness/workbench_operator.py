"""The operator under test: a process of its own, with the rights of the shipped ServiceAccount."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import kube
from tests.harness.cluster import Cluster
from tests.harness.processes import dying_with_us
from tests.harness.setup import ROOT

HOME = "belay-system"
ACCOUNT = "belay"
USER = f"system:serviceaccount:{HOME}:{ACCOUNT}"
"""Who the operator is in the audit log."""

KUBECONFIG = "operator.kubeconfig"

_PROGRAM = "from belay.cli.app import main; main()"
_KINDS = "namespace,serviceaccount,clusterrole,clusterrolebinding,role,rolebinding"


def install(cluster: Cluster, folder: Path, *, duration: str = "1h") -> Path:
    """Apply the rights as shipped, without the pod; gives a kubeconfig of the ServiceAccount."""
    forced = ["--server-side", "--force-conflicts"]
    base = cluster.kubectl("kustomize", str(ROOT / "deploy/base"))
    rights = [part for part in base.split("\n---\n") if _is_right(part)]
    cluster.kubectl("apply", *forced, "-f", "-", stdin="\n---\n".join(rights))
    where = folder / KUBECONFIG
    return kube.service_account_kubeconfig(cluster, HOME, ACCOUNT, where, duration=duration)


def _is_right(manifest: str) -> bool:
    kind = next(line for line in manifest.splitlines() if line.startswith("kind: "))
    return kind.removeprefix("kind: ").lower() in _KINDS.split(",")


@dataclass(slots=True)
class Operator:
    """One operator for some namespaces; it can be killed and started again."""

    kubeconfig: Path
    namespaces: tuple[str, ...]
    log: Path
    options: tuple[str, ...] = ()
    code: Path = ROOT / "operator"
    program: str = _PROGRAM
    """What Python runs, in this folder."""
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start it; nobody has to wait until it is ready."""
        scope = [word for name in self.namespaces for word in ("--namespace", name)]
        command = [sys.executable, "-c", self.program, "run", *scope, "--no-leader-election"]
        where = ["--health-address", "127.0.0.1", "--health-port", "0"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*dying_with_us(), *command, *where, *self.options],
                env={
                    **os.environ,
                    "PYTHONPATH": str(self.code),
                    "BELAY_KUBECONFIG": str(self.kubeconfig),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)

    def kill(self) -> None:
        """End it without any warning (SIGKILL)."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and give its exit code."""
        self._processes[-1].send_signal(signal.SIGTERM)
        return self._processes[-1].wait(30)

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self._processes[-1].pid

    @property
    def health(self) -> str:
        """URL of its health and metrics; it must have begun to lead."""
        ports = re.findall(r"health and metrics on port (\d+)", self.log.read_text())
        return f"http://127.0.0.1:{ports[-1]}"

    def said(self, namespace: str) -> str:
        """What it logged of a namespace, and of no namespace at all."""
        others = [name for name in self.namespaces if name != namespace]
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return "\n".join(line for line in lines if not any(name in line for name in others))


MORE = 6
"""Namespaces of a further operator."""


@dataclass(slots=True)
class Places:
    """Namespaces that one operator serves, for cases that need no operator of their own.

    An operator costs two seconds to start, and serves the namespaces that it was started with; a
    namespace that no case takes costs a seventh of a second, most of it to delete.
    """

    cluster: Cluster
    kubeconfig: Path
    folder: Path
    size: int
    """How many cases will probably come; for those beyond there are `MORE` at a time."""
    _free: list[tuple[str, ExitStack]] = field(default_factory=list)
    _operator: Operator | None = None

    @contextmanager
    def take(self) -> Iterator[tuple[str, Operator]]:
        """A namespace for one case, and the operator that serves it."""
        if not self._free:
            self._open()
        assert self._operator is not None
        name, place = self._free.pop()
        with place:
            yield name, self._operator

    def close(self) -> None:
        """Leave neither processes nor namespaces behind."""
        if self._operator is not None:
            self._operator.close()
        while self._free:
            self._free.pop()[1].close()

    def _open(self) -> None:
        self.close()
        size, self.size = self.size, MORE
        for _ in range(size):
            place = ExitStack()
            self._free.append((place.enter_context(kube.namespace(self.cluster)), place))
        names = tuple(name for name, _ in self._free)
        self._operator = Operator(self.kubeconfig, names, self.folder / f"{names[0]}.log")
        self._operator.start()
