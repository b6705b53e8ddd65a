"""containerd for the node: its configuration, its images, and what it leaves when it is killed."""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.harness import network
from tests.harness.packages import cni_folder
from tests.harness.processes import kill
from tests.harness.setup import SetupError, locked, run

SANDBOX_IMAGE = "localhost/pause:1"
_GROUPS = Path("/sys/fs/cgroup")
_WEIGHTS = {"cpu/k8s.io/cpu.shares": (8192, 1024), "k8s.io/cpu.weight": (800, 100)}
"""By the version of control groups: while a cluster runs, and by default."""


@dataclass(frozen=True, slots=True)
class Containerd:
    """The containerd of one cluster, all of its files under one folder."""

    state: Path

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.state / "containerd.sock"

    @property
    def _tasks(self) -> Path:
        return self.state / "containerd/run/io.containerd.runtime.v2.task/k8s.io"

    def configure(self) -> Path:
        """Write its configuration and give the path.

        `restrict_oom_score_adj`: without CAP_SYS_RESOURCE no sandbox starts otherwise.
        """
        home = self.state / "containerd"
        path = self.state / "containerd.toml"
        path.write_text(f"""\
version = 2
root = "{home}/root"
state = "{home}/run"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{self.socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{SANDBOX_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_folder()}"
conf_dir = "{network.cni(self.state)}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{home}/runc"
""")
        return path

    def answers(self) -> bool:
        """Whether it serves requests."""
        if not self.socket.exists():
            return False
        command = ["ctr", "--address", str(self.socket), "version"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def load(self, archive: Path) -> None:
        """Make the image of an archive usable by pods; done already is not done again."""
        stamp = self.state / "loaded" / archive.name.rpartition("-")[0]
        with locked(stamp.with_suffix(".lock"), f"loading {archive.name}"):
            if stamp.exists() and stamp.read_text() == archive.name:
                return
            ctr = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io"]
            run([*ctr, "images", "import", str(archive)])
            stamp.write_text(archive.name)

    def sweep(self) -> None:
        """End every container and remove every trace; containerd itself has ended already."""
        if not self.state.exists():
            return
        kill_tree(self._shims())
        weigh(favoured=False)
        sockets = [path.read_text() for path in self._tasks.glob("*/address")]
        identities = [path.name for path in self._tasks.glob("*")]
        unmount(self.state)
        for address in sockets:
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)
        for name in identities:
            _remove_control_groups(name)
        for link in Path("/var/log/containers").glob("*"):
            if link.is_symlink() and str(link.readlink()).startswith(f"{self.state}/"):
                link.unlink()

    def _shims(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "containerd-shim" in words[0] and str(self.socket) in words:
                found.append(int(process.name))
        return found


def weigh(*, favoured: bool) -> None:
    """Whether all pods together weigh as much as eight processes of the host.

    Else it is one, and a test run has dozens: what a pod imports would take half a minute.
    """
    for name, (much, usual) in _WEIGHTS.items():
        file = _GROUPS / name
        if not file.parent.parent.is_dir():
            continue
        with suppress(OSError):  # the other version, or a sandbox that forbids it
            file.parent.mkdir(exist_ok=True)
            file.write_text(str(much if favoured else usual))


def kill_tree(roots: list[int]) -> None:
    """Kill processes and all their descendants: a shim's containers outlive it otherwise."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(process.name)] = int(fields[1])
    doomed = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in doomed} - doomed:
        doomed |= more
    kill(sorted(doomed))


def unmount(folder: Path) -> None:
    """Unmount everything under a folder, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in reversed([each for each in points if each.startswith(f"{folder}/")]):
        done = subprocess.run(
            ["umount", "--lazy", point], check=False, capture_output=True, text=True
        )
        if done.returncode and os.path.ismount(point):
            raise SetupError(f"cannot unmount {point}: {done.stderr.strip()}")


def _remove_control_groups(name: str) -> None:
    for group in Path("/sys/fs/cgroup").glob(f"**/k8s.io/{name}"):
        group.rmdir()
