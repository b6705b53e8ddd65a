"""Our images: what is in them, that their lists say so, and that they can be built again."""

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.harness import images
from tests.harness.images import Image
from tests.harness.setup import SetupError, cache_home


@dataclass(frozen=True)
class Ours:
    """An image as it is documented."""

    build: Callable[[], Image]
    base: Callable[[], Image]
    most: float
    """Bytes."""
    home: str
    start: list[str] | None
    command: list[str] | None
    debian: set[str]
    python: set[str]
    """Some of the packages in it."""


BELAY = Ours(
    images.belay, images.base, 130e6, "opt/belay", ["belay"], ["run"],
    {"libc6", "libssl3", "python3.11-minimal"}, {"kopf", "kubernetes", "pydantic"},
)  # fmt: skip
RUNNER = Ours(
    images.runner, images.newer_base, 105e6, "opt/belay-runner",
    ["python3", "-m", "belay_runner"], None,
    {"libc6", "libssl3t64", "python3.13-minimal"}, {"graphon", "jinja2", "starlette"},
)  # fmt: skip


@pytest.fixture(scope="module", params=[BELAY, RUNNER], ids=["belay", "runner"])
def ours(request: pytest.FixtureRequest) -> Ours:
    found: Ours = request.param
    return found


@pytest.fixture(scope="module")
def image(ours: Ours) -> Image:
    try:
        return ours.build()
    except SetupError as error:
        pytest.skip(f"needs an image: {error}")


def read(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.loads(file.read())


def config(image: Image) -> str:
    """Name of its configuration, which is the digest of it and of all layers."""
    (described,) = read(image.archive, "manifest.json")
    return str(described["Config"])


def files(image: Image) -> Iterator[tuple[str, bytes]]:
    """Names of what is in its layers; small files with their content."""
    (described,) = read(image.archive, "manifest.json")
    with tarfile.open(image.archive) as tar:
        for layer in described["Layers"]:
            with tarfile.open(fileobj=tar.extractfile(layer)) as inside:
                for each in inside:
                    small = each.isfile() and each.size < 1e6
                    file = inside.extractfile(each) if small else None
                    yield each.name.lstrip("./"), file.read() if file is not None else b""


def test_the_image_is_small_and_its_list_names_what_is_in_it(image: Image, ours: Ours) -> None:
    assert image.archive.stat().st_size < ours.most
    there = dict(files(image))
    tools = {"bin/sh", "usr/bin/sh", "usr/bin/perl", "usr/bin/apt", "usr/bin/dpkg", "usr/bin/env"}
    assert not tools & there.keys()
    listed = json.loads(there[f"{ours.home}/{images.SBOM}"])["components"]
    debian = {each["name"] for each in listed if each["purl"].startswith("pkg:deb/")}
    paragraphs = there["var/lib/dpkg/status"].decode().strip().split("\n\n")
    assert debian == {each.partition("\n")[0].split()[1] for each in paragraphs}
    assert ours.debian <= debian
    python = {each["name"].lower() for each in listed if each["purl"].startswith("pkg:pypi/")}
    assert ours.python <= python


def test_the_image_says_what_it_is(image: Image, ours: Ours) -> None:
    told = read(image.archive, config(image))["config"]
    assert told["User"] == "65532:65532"
    assert (told["Entrypoint"], told.get("Cmd")) == (ours.start, ours.command)
    about = {name.removeprefix("org.opencontainers.image.") for name in told["Labels"]}
    assert {"title", "description", "licenses", "version"} <= about


@pytest.fixture
def empty_cache(ours: Ours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with nothing but the downloads and the base."""
    kept, cache = cache_home(), tmp_path / "belay"
    (cache / "images").mkdir(parents=True)
    for packages in kept.glob("packages-*"):
        (cache / packages.name).symlink_to(packages)
    for name in (ours.base().archive.name, "manifest.json"):
        shutil.copy2(kept / "images" / name, cache / "images" / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield cache
    shutil.rmtree(cache)


@pytest.mark.full  # compiling all packages once more takes half a minute
def test_a_build_from_nothing_gives_the_same_image(
    image: Image, ours: Ours, empty_cache: Path
) -> None:
    """On the same base, in another place, without any layer of the former build."""
    again = ours.build()
    assert again.archive.is_relative_to(empty_cache)
    assert config(again) == config(image)
