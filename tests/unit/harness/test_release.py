"""What `make release-check` finds, and what it lets pass."""

import shutil
from pathlib import Path

import pytest
from tests.harness import release
from tests.harness.setup import ROOT

FORMER = f"## [0.1.0] - 2026-11-22\n\nCommit `{'a' * 40}`.\n"
PLACES = ("operator/belay/__init__.py", "charts/belay/Chart.yaml", "CHANGELOG.md")


def checkout(folder: Path, version: str, chart: str, changelog: str) -> Path:
    texts = (f'__version__ = "{version}"\n', f"version: {chart}\nappVersion: {chart}\n", changelog)
    for place, text in zip(PLACES, texts, strict=True):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return folder


def test_this_checkout_tells_one_version() -> None:
    assert list(release.problems()) == []


@pytest.mark.parametrize(
    ("version", "chart", "changelog"),
    [
        ("0.2.0.dev0", "0.2.0-dev0", f"## Unreleased\n\n{FORMER}"),
        ("0.2.0", "0.2.0", f"## [0.2.0] - 2026-12-01\n\n{FORMER}"),
    ],
)
def test_a_version_that_all_places_tell_passes(
    tmp_path: Path, version: str, chart: str, changelog: str
) -> None:
    assert list(release.problems(checkout(tmp_path, version, chart, changelog))) == []


@pytest.mark.parametrize(
    ("version", "chart", "changelog", "said"),
    [
        ("0.2.0", "0.2.1", f"## [0.2.0] - 2026-12-01\n{FORMER}", "Chart.yaml: version is 0.2.1"),
        ("0.2.0", "0.2.0", f"## Unreleased\n\n{FORMER}", "write `## [0.2.0] - <date>`"),
        ("0.2.0", "0.2.0", f"## [0.2.0] - soon\n\n{FORMER}", "write `## [0.2.0] - <date>`"),
        ("0.2.0.dev0", "0.2.0-dev0", FORMER, "`## Unreleased` comes first"),
        ("0.1.0", "0.1.0", f"## Unreleased\n\n{FORMER}", "0.1.0 was released already"),
        (
            "0.2.0.dev0",
            "0.2.0-dev0",
            "## Unreleased\n\n## [0.1.0] - 2026-11-22\n\n### Added\n",
            "[0.1.0] names no commit",
        ),
    ],
)
def test_a_place_that_tells_another_is_named(
    tmp_path: Path, version: str, chart: str, changelog: str, said: str
) -> None:
    found = list(release.problems(checkout(tmp_path, version, chart, changelog)))
    assert any(said in each for each in found), found


def test_a_former_release_is_in_git_as_it_was(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    try:
        release.unpack("0.1.0", tmp_path)
    except release.SetupError as error:
        pytest.skip(str(error))
    assert release.package_version(tmp_path) == "0.1.0"
    assert (tmp_path / "charts/belay/values.schema.json").exists()
    assert release.package_version(ROOT) != "0.1.0"
