"""Programs from the distribution that the harness needs: found, installed, or taken out of it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.harness.setup import SetupError, cache_home, locked, run, say, state_home, step
from tests.harness.store import Store, content_key

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")

_Probe = Callable[[], bool]


def _command(*names: str) -> _Probe:
    return lambda: all(shutil.which(name) for name in names)


CERTIFICATES: Mapping[str, _Probe] = {"openssl": _command("openssl")}
NODE: Mapping[str, _Probe] = {
    **CERTIFICATES,
    "containerd": _command("containerd", "ctr", "containerd-shim-runc-v2"),
    "runc": _command("runc"),
    "containernetworking-plugins": lambda: any((d / "bridge").exists() for d in CNI_FOLDERS),
    "iproute2": _command("ip"),
    "nftables": _command("nft"),
}
REDIS: Mapping[str, _Probe] = {"redis-server": _command("redis-server")}
IMAGES: Mapping[str, _Probe] = {
    "buildah": _command("buildah"),
    "debootstrap": _command("debootstrap"),
    "gcc": _command("gcc"),
    "libc6-dev": lambda: any(Path("/usr/lib").glob("*/libc.a")),
}


def cni_folder() -> Path:
    """Where the CNI plugins are."""
    return next(folder for folder in CNI_FOLDERS if (folder / "bridge").exists())


def need(packages: Mapping[str, _Probe]) -> None:
    """Make sure that the packages are there; install the missing ones where that is possible.

    `SETUP=never` in the environment forbids installing. Raises `SetupError` with the list.
    """
    missing = [name for name, present in packages.items() if not present()]
    if not missing:
        return
    line = f"apt-get install {' '.join(missing)}"
    if os.environ.get("SETUP") == "never":
        raise SetupError(f"SETUP=never, and these packages are missing. Run: {line}")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"these Debian packages are missing. As root, run: {line}")
    what = f"installing Debian packages: {' '.join(missing)}"
    with locked(state_home() / "apt.lock", "installing packages"), _no_services(), step(what):
        _install(missing)
    still = [name for name, present in packages.items() if not present()]
    if still:
        raise SetupError(f"installed, but not found where expected: {', '.join(still)}")


def program(package: str, name: str) -> Path:
    """A program that starts no service by being there: found, or taken out of its package."""
    found = shutil.which(name)
    return Path(found) if found is not None else part(package, f"usr/bin/{name}")


def part(package: str, path: str) -> Path:
    """A file of a Debian package, which is not installed for that.

    Raises `SetupError` where there is no such package.
    """
    release, name = Path("/etc/os-release"), Path(path).name
    if not shutil.which("apt-get") or not release.exists():
        raise SetupError(f"{name} is not there, and this is no Debian to take it from")
    store = Store(cache_home() / f"debian-{content_key([release])}")
    if store.missing([name]) and os.environ.get("SETUP") == "never":
        raise SetupError(f"SETUP=never, and {name} is missing. Run: apt-get install {package}")
    return store.get(name, partial(_take_out, package, path))


def _take_out(package: str, path: str, to: Path) -> None:
    with step(f"downloading {package}"), tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "download", "-q", package]
        try:
            run(download, cwd=Path(folder))
        except SetupError:
            say("  the package lists may be old: updating them")
            run(["apt-get", "update", "-q"])
            run(download, cwd=Path(folder))
        (archive,) = Path(folder).glob("*.deb")
        run(["dpkg-deb", "--extract", archive, folder])
        shutil.copy(Path(folder) / path, to)


def _install(names: list[str]) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]
    if _stream(install, quiet) == 0:
        return
    say("  the package lists may be old: updating them")
    _stream(["apt-get", "update", "-q"], quiet)
    if code := _stream(install, quiet):
        raise SetupError(f"`{' '.join(install)}` ended with {code}; see its output above")


def _stream(command: list[str], env: Mapping[str, str]) -> int:
    """Run a command, showing the lines that tell its progress and, on failure, its errors."""
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(("Get:", "Setting up", "E:", "Err:")):
                say(f"    {line.rstrip()}")
    return process.returncode


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep Debian from starting a system containerd: the harness runs its own.

    Nothing is changed where a policy exists already. On a machine run by systemd, a containerd
    that came just now is not enabled for the next boot either.
    """
    ours = not _SERVICE_POLICY.exists()
    had_containerd = shutil.which("containerd") is not None
    if ours:
        _SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
        _SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _SERVICE_POLICY.unlink(missing_ok=True)
        if not had_containerd and Path("/run/systemd/system").exists():
            subprocess.run(["systemctl", "disable", "containerd"], check=False, capture_output=True)
