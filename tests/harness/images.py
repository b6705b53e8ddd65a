"""Container images, built once without Docker and without a network inside the build."""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness import packages, sbom
from tests.harness.containers import SANDBOX_IMAGE
from tests.harness.setup import ROOT, SetupError, cache_home, locked, run, step
from tests.harness.store import Store, content_key

_FILES = Path(__file__).parent / "containerfiles"
SBOM = "sbom.cdx.json"
"""In /opt/belay of the operator's image, /opt/belay-runner of the runner's."""
_FORM = "4"
"""Changes with what this module puts into these images."""
_PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
"""Which Python each Debian brings."""
_CUT = ("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/log", "usr/share/doc",
        "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: the name that pods use, and the archive that makes it known to a node."""

    name: str
    archive: Path


def pause() -> Image:
    """The sandbox image: a static program of our own that waits and reaps."""
    return _once(SANDBOX_IMAGE, _FILES / "pause.Dockerfile", [_FILES / "pause.c"], _pause_context)


def base() -> Image:
    """Debian with Python 3.11 and little else, from the distribution's own packages."""
    return _debian("belay-base", "bookworm")


def newer_base() -> Image:
    """The same with Python 3.13, new enough for the reference runner."""
    return _debian("belay-base-trixie", "trixie")


def runtime() -> Image:
    """Python 3.11 and what that needs of `base`: neither a shell nor a package manager."""
    return _runtime("belay-runtime", base())


def newer_runtime() -> Image:
    """The same with Python 3.13, of `newer_base`."""
    return _runtime("belay-runtime-trixie", newer_base())


def runner() -> Image:
    """The reference runner's image, `localhost/belay-runner:dev`, of the code as it lies here."""
    deploy, code = ROOT / "deploy/runner", ROOT / "operator/belay_runner"
    lock, on = deploy / "requirements.lock", {"BASE": newer_base(), "RUNTIME": newer_runtime()}
    version = _version(ROOT)

    def context(folder: Path) -> None:
        packages = _site_packages(lock, _PYTHON["trixie"])
        listed = sbom.of_image("belay-runner", version, packages, on["RUNTIME"].archive)
        _lay_out(folder, folder / "belay-runner", packages, code, listed)

    inputs: list[str | Path] = [lock, code, Path(sbom.__file__), version, _FORM]
    inputs += [each.name for each in on.values()]
    name = "localhost/belay-runner:dev"
    return _once(name, deploy / "Dockerfile", inputs, context, on, {"VERSION": version})


def belay(root: Path = ROOT, tag: str = "dev") -> Image:
    """The operator's image, `localhost/belay:dev`, of the code as it lies in a checkout."""
    deploy, code = root / "deploy/image", root / "operator/belay"
    lock, on = deploy / "requirements.lock", {"BASE": base(), "RUNTIME": runtime()}
    version = _version(root)

    def context(folder: Path) -> None:
        packages = _site_packages(lock)
        listed = sbom.of_image("belay", version, packages, on["RUNTIME"].archive)
        _lay_out(folder, folder / "belay", packages, code, listed)
        (folder / "belay/bin").mkdir()
        shutil.copy2(deploy / "belay", folder / "belay/bin/belay")

    listed = Path(sbom.__file__)
    inputs: list[str | Path] = [lock, code, deploy / "belay", listed, _FORM]
    inputs += [each.name for each in on.values()]
    name = f"localhost/belay:{tag}"
    return _once(name, deploy / "Dockerfile", inputs, context, on, {"VERSION": version})


def _version(root: Path) -> str:
    text = (root / "operator/belay/__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def _lay_out(folder: Path, home: Path, packages: Path, code: Path, listed: str) -> None:
    """Packages, code and the list of both, as the Dockerfiles want them."""
    shutil.copytree(packages, folder / "packages", copy_function=os.link, ignore=_never_used)
    no_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(code, home / "code" / code.name, ignore=no_bytecode)
    (home / SBOM).write_text(listed)


def _never_used(folder: str, names: list[str]) -> list[str]:
    """What the operator does without, and what tells of the machine that built the image.

    The classes for all APIs and objects of Kubernetes are half of the packages; Belay sends raw
    objects. Scripts begin with the path of the builder's Python, and a RECORD has their digests.
    """
    if re.search(r"kubernetes/(aio/)?client/(api|models)$", folder):
        return [name for name in names if name != "__init__.py"]
    return [name for name in names if name in {"RECORD", "bin"}]


def build(name: str, dockerfile: Path, context: Path, on: Image) -> Image:
    """Build any image on `on`: the Dockerfile takes it as `ARG BASE`, and sees `context`."""

    def copy(folder: Path) -> None:
        shutil.copytree(context, folder, dirs_exist_ok=True)

    return _once(name, dockerfile, [context, on.name], copy, {"BASE": on})


def _once(
    name: str,
    dockerfile: Path,
    inputs: Sequence[str | Path],
    prepare: Callable[[Path], None],
    on: Mapping[str, Image] | None = None,
    arguments: Mapping[str, str] | None = None,
) -> Image:
    """The image of these inputs: from the cache, else built in a fresh context folder.

    `on`: images that it is built on, by the argument of the Dockerfile.
    """
    short = _short(name)
    archive = f"{short}-{content_key([dockerfile, *inputs, name, platform.machine()])}.tar"
    store = Store(cache_home() / "images")

    def make(path: Path) -> None:
        packages.need(packages.IMAGES)
        with step(f"building image {name}"), tempfile.TemporaryDirectory() as folder:
            context = Path(folder) / "context"
            context.mkdir()
            prepare(context)
            _build(name, dockerfile, context, on or {}, path, arguments or {})
        _drop_old(store.folder, short)

    return Image(name, store.get(archive, make))


def _short(name: str) -> str:
    """How its archives begin; those of a release are kept beside those of work in progress."""
    short, _, tag = name.rpartition("/")[2].partition(":")
    return f"{short}-{tag}" if tag.count(".") == 2 else short


def _build(
    name: str,
    dockerfile: Path,
    context: Path,
    on: Mapping[str, Image],
    archive: Path,
    arguments: Mapping[str, str],
) -> None:
    """Build with buildah, without a network; its layers are kept beside the finished images."""
    if os.geteuid() != 0:
        raise SetupError(f"building {name} needs root (buildah with chroot isolation)")
    home = cache_home() / "buildah"
    buildah = ["buildah", "--root", str(home / "storage"), "--runroot", str(home / "run")]
    with locked(home / "lock", "building an image"):
        told = {**arguments, **{argument: image.name for argument, image in on.items()}}
        given = [f"--build-arg={key}={value}" for key, value in told.items()]
        for image in on.values():
            if not run([*buildah, "images", "--quiet", "--filter", f"reference={image.name}"]):
                run([*buildah, "pull", f"docker-archive:{image.archive}"])
        isolated = ["unshare", "--net", *buildah, "bud", "--isolation", "chroot"]
        options = ["--layers", "--pull-never", "--timestamp=0", *given, "--file", str(dockerfile)]
        # What has no name is pruned: a stage that is kept need not be built anew the next time.
        for stage in re.findall(r"^FROM .* AS (\w+)$", dockerfile.read_text(), re.MULTILINE):
            kept = f"localhost/{_short(name)}-stage-{stage}"
            run([*isolated, *options, "--target", stage, "--tag", kept, str(context)])
        run([*isolated, *options, "--tag", name, str(context)])
        run([*buildah, "push", name, f"docker-archive:{archive}:{name}"])
        run([*buildah, "rmi", "--prune"])


def _drop_old(folder: Path, short: str, keep: int = 2) -> None:
    """Each change of the code makes a new archive: keep the latest few."""
    same = f"{short}-{'[0-9a-f]' * 16}.tar"
    archives = sorted(folder.glob(same), key=lambda path: path.stat().st_mtime)
    for archive in archives[: -keep or None]:
        archive.unlink()


def _pause_context(folder: Path) -> None:
    source = _FILES / "pause.c"
    run(["gcc", "-static", "-Os", "-s", "-Wall", "-Werror", "-o", folder / "pause", source])


def _runtime(short: str, whole: Image) -> Image:
    program = _FILES / "runtime.py"
    key = content_key([program, _FILES / "runtime.Dockerfile", whole.name])

    def context(folder: Path) -> None:
        shutil.copy(program, folder)

    name = f"localhost/{short}:{key}"
    return _once(name, _FILES / "runtime.Dockerfile", [key], context, {"BASE": whole})


def _debian(short: str, release: str) -> Image:
    key = content_key([_FILES / "base.Dockerfile", release, *_CUT])
    name = f"localhost/{short}:{key}"

    def context(folder: Path) -> None:
        _base_context(folder, release)

    return _once(name, _FILES / "base.Dockerfile", [key], context)


def _base_context(folder: Path, release: str) -> None:
    root = folder / "rootfs"
    run(["debootstrap", "--variant=minbase", "--include=python3", release, root])
    for name in _CUT:
        shutil.rmtree(root / name)
        (root / name).mkdir()
    run(["tar", "--create", "--numeric-owner", "--file", folder / "rootfs.tar", "-C", root, "."])
    shutil.rmtree(root)


def _site_packages(lock: Path, python: str = _PYTHON["bookworm"]) -> Path:
    """The run-time packages of a lock for the image's Python, every file checked by its hash."""
    machine = platform.machine()
    tag = f"manylinux_2_28_{machine}"
    target = cache_home() / f"packages-{content_key([lock, tag, python])}"
    with locked(target.with_suffix(".lock"), "fetching packages"):
        if target.exists():
            return target
        with step("fetching an image's packages (hash-locked)"):
            unfinished = target.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            known = (tag, f"manylinux_2_17_{machine}", f"manylinux2014_{machine}")
            platforms = [f"--platform={each}" for each in known]
            run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps",
                 "--require-hashes", "--only-binary=:all:", "--ignore-requires-python",
                 f"--python-version={python}",
                 "--implementation=cp", *platforms, f"--target={unfinished}", "--requirement", lock]
            )  # fmt: skip
            unfinished.rename(target)
    return target
