"""Runs of a real engine, in flight while a good and a bad revision are brought to its pods."""

import pytest
from tests.e2e.runs import Letters, letters
from tests.harness import images
from tests.harness.cluster import Cluster
from tests.harness.workbench import Bench, Object
from tests.harness.workbench_flow import condition

from belay.api.names import LABEL_PAUSED_BY
from belay.shell.resources import DEPLOYMENTS, SECRETS


@pytest.fixture(autouse=True)
def runner_image(cluster: Cluster) -> None:
    if not cluster.takes_images:
        pytest.skip("the runner's image cannot be brought to the nodes of this cluster")
    cluster.load_image(images.runner())


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    """Runs in flight."""
    return 50 if request.config.getoption("--full") else 8


def counts(found: Object) -> Object:
    return dict(found["status"]["rollout"]["instances"])


async def all_succeed(some: Letters, wanted: dict[str, str], version: str) -> None:
    """Each with the letter of an undisturbed run on the revision that it began with."""
    ended = await some.ended(set(wanted))
    told = {run: (e["status"], (e.get("outputs") or {}).get("letter")) for run, e in ended.items()}
    assert told == {run: ("succeeded", f"{text} by {version}") for run, text in wanted.items()}


async def nothing_is_held(some: Letters) -> None:
    assert await some.holders() == set()
    target = await some.bench.get(DEPLOYMENTS, "letters")
    assert LABEL_PAUSED_BY not in (target["metadata"].get("labels") or {})


@pytest.mark.parametrize("update", ["Rolling", "Reload"])
async def test_runs_in_flight_survive_a_good_and_a_bad_revision(
    bench: Bench, update: str, count: int
) -> None:
    some = await letters(bench, update=update)
    pods = {p["metadata"]["uid"] for p in await some.pods()}
    runs = await some.start(count)
    await some.flow.wish("v2")
    found = await some.flow.at("Promoted")
    told = counts(found)
    assert told["found"] == told["paused"] == told["resumed"] > count // 2
    assert told.get("lost", 0) == 0
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)
    later = await some.start(count)
    await some.flow.wish("v3")
    found = await some.flow.at("Reverted")
    assert 'check "writes"' in condition(found, "Ready")["message"]
    await all_succeed(some, later, "v2")
    await nothing_is_held(some)
    same = {p["metadata"]["uid"] for p in await some.pods()} == pods
    assert same is (update == "Reload")
    backups = await bench.find(SECRETS, "belay.dev/backup-of=letters")
    assert all(one["immutable"] for one in backups)
