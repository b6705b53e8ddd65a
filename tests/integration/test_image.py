"""The operator's image: what is in it, that its list says so, and that it can be built again."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.harness import images
from tests.harness.images import Image
from tests.harness.setup import SetupError, cache_home

MOST = 130e6
"""Bytes, as docs/operations.md tells."""


@pytest.fixture(scope="module")
def image() -> Image:
    try:
        return images.belay()
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


def test_the_image_is_small_and_its_list_names_what_is_in_it(image: Image) -> None:
    assert image.archive.stat().st_size < MOST
    there = dict(files(image))
    tools = {"bin/sh", "usr/bin/sh", "usr/bin/perl", "usr/bin/apt", "usr/bin/dpkg", "usr/bin/env"}
    assert not tools & there.keys()
    listed = json.loads(there[f"opt/belay/{images.SBOM}"])["components"]
    debian = {each["name"] for each in listed if each["purl"].startswith("pkg:deb/")}
    paragraphs = there["var/lib/dpkg/status"].decode().strip().split("\n\n")
    assert debian == {each.partition("\n")[0].split()[1] for each in paragraphs}
    assert {"libc6", "libssl3", "python3.11-minimal"} <= debian
    python = {each["name"].lower() for each in listed if each["purl"].startswith("pkg:pypi/")}
    assert {"kopf", "kubernetes", "pydantic"} <= python


def test_the_image_says_what_it_is(image: Image) -> None:
    told = read(image.archive, config(image))["config"]
    assert told["User"] == "65532:65532"
    assert (told["Entrypoint"], told["Cmd"]) == (["belay"], ["run"])
    about = {name.removeprefix("org.opencontainers.image.") for name in told["Labels"]}
    assert {"title", "description", "licenses", "version"} <= about


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with nothing but the downloads and the base."""
    kept, cache = cache_home(), tmp_path / "belay"
    (cache / "images").mkdir(parents=True)
    for packages in kept.glob("packages-*"):
        (cache / packages.name).symlink_to(packages)
    for name in (images.base().archive.name, "manifest.json"):
        shutil.copy2(kept / "images" / name, cache / "images" / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield cache
    shutil.rmtree(cache)


@pytest.mark.full  # compiling all packages once more takes half a minute
def test_a_build_from_nothing_gives_the_same_image(image: Image, empty_cache: Path) -> None:
    """On the same base, in another place, without any layer of the former build."""
    again = images.belay()
    assert again.archive.is_relative_to(empty_cache)
    assert config(again) == config(image)
