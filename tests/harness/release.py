"""Releases: whether all places tell one version, and the files of a former one.

python -m tests.harness.release            compare package, chart and CHANGELOG
python -m tests.harness.release --image    the image too; it is built first if need be
"""

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.harness import images
from tests.harness.setup import ROOT, SetupError, run, run_binary, say

_SECTION = re.compile(r"^## (?:\[(?P<version>[^]]+)\] - (?P<date>\S+)|Unreleased)$", re.MULTILINE)
_COMMIT = re.compile(r"\n+Commit `(?P<commit>[0-9a-f]{40})`\.\n")
_DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the CHANGELOG; version and date are empty in that of what comes next."""

    version: str = ""
    date: str = ""
    commit: str = ""


def sections(text: str) -> list[Section]:
    """The sections of a CHANGELOG, newest first."""
    found = []
    for match in _SECTION.finditer(text):
        commit = _COMMIT.match(text, match.end())
        version, date = match["version"] or "", match["date"] or ""
        found.append(Section(version, date, commit["commit"] if commit else ""))
    return found


def commit_of(version: str) -> str:
    """The commit that the CHANGELOG names for a release. Raises `SetupError`."""
    for section in sections((ROOT / "CHANGELOG.md").read_text()):
        if section.version == version and section.commit:
            return section.commit
    raise SetupError(f"CHANGELOG.md names no commit for {version}")


def unpack(version: str, folder: Path) -> None:
    """Put the files of a release into a folder. Raises `SetupError` where git has them not."""
    commit = commit_of(version)
    try:
        run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT)
    except (SetupError, OSError) as error:
        raise SetupError(
            f"the commit of {version} is not here (a shallow clone? git fetch --unshallow)"
        ) from error
    archive = run_binary(["git", "archive", "--format=tar", commit], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def semantic(version: str) -> str:
    """A version of Python's kind as charts write it: 0.2.0.dev0 is 0.2.0-dev0."""
    return re.sub(r"\.(dev\d+)$", r"-\1", re.sub(r"(\d)(a|b|rc)(\d+)$", r"\1-\2\3", version))


def problems(root: Path = ROOT) -> Iterator[str]:
    """Where package, chart and CHANGELOG differ, each with its remedy."""
    version = package_version(root)
    chart = yaml.safe_load((root / "charts/belay/Chart.yaml").read_text())
    for field in ("version", "appVersion"):
        if chart[field] != semantic(version):
            yield f"charts/belay/Chart.yaml: {field} is {chart[field]}, not {semantic(version)}"
    newest, *others = sections((root / "CHANGELOG.md").read_text())
    if "-" in semantic(version):
        if newest.version:
            yield f"CHANGELOG.md: {version} is no release, so `## Unreleased` comes first"
        released = others
    else:
        if newest.version != version or not _DAY.fullmatch(newest.date):
            yield f"CHANGELOG.md: begins with {newest.version}: write `## [{version}] - <date>`"
        released = others
    for each in released:
        if not each.commit:
            yield f"CHANGELOG.md: [{each.version}] names no commit: write Commit `<hash>`. below it"
        if each.version == version:
            yield f"operator/belay/__init__.py: {version} was released already"


def package_version(root: Path) -> str:
    """The version of the package in a checkout."""
    text = (root / "operator/belay/__init__.py").read_text()
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def image_problems() -> Iterator[str]:
    """Where the image's labels say something else than the package."""
    image = images.belay()
    labels = _labels(image.archive)
    version = package_version(ROOT)
    if labels.get("org.opencontainers.image.version") != version:
        yield f"{image.archive}: its label does not say {version}: {labels}"


def _labels(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        (described,) = json.loads(read("manifest.json"))
        found: dict[str, str] = json.loads(read(described["Config"]))["config"].get("Labels") or {}
    return found


def main(arguments: Sequence[str]) -> int:
    """Say each problem; 1 if there are any."""
    found = list(problems())
    try:
        found += image_problems() if "--image" in arguments else ()
    except SetupError as error:
        found.append(str(error))
    for each in found:
        say(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
