"""What others do to the target meanwhile, and what is kept for it."""

from tests.e2e.conftest import Begin
from tests.e2e.lingering import linger, new_pod
from tests.harness.workbench import Bench, carries, gone
from tests.harness.workbench_flow import ready

from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, REPLICA_SETS, REVISIONS


async def test_a_target_without_pods_is_held_behind_its_preview(bench: Bench, begin: Begin) -> None:
    flow = await begin(deadlines={"verify": "1s"})
    await bench.scale("app", 0)
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Held")
    assert ready(found)["reason"] == "NoPods"
    assert found["status"]["rollout"]["previewed"] is True


async def test_more_pods_in_mid_rollout_are_proven_too(bench: Bench, begin: Begin) -> None:
    flow = await linger(bench, begin, "Delivering", window="5s")
    content = (await flow.now())["status"]["rollout"]["to"]
    first = await new_pod(bench, content)
    await bench.scale("app", 2)
    await bench.tell(first, ready=200)
    second = await bench.until_pod(
        lambda pod: carries(pod, content) and pod["metadata"]["name"] != first
    )
    await bench.tell(second["metadata"]["name"], ready=200)
    found = await flow.at("Observing")
    assert {e["pod"] for e in found["status"]["rollout"]["evidence"]} == {
        first,
        second["metadata"]["name"],
    }


async def test_a_failure_after_somebody_changed_the_template_is_not_the_revisions(
    bench: Bench, begin: Begin
) -> None:
    flow = await linger(bench, begin, "Delivering", deadlines={"deliver": "15s"})
    container = {"name": "app", "env": [{"name": "EXTRA", "value": "1"}]}
    spec = {"template": {"spec": {"containers": [container]}}}
    await bench.apply(DEPLOYMENTS, {"metadata": {"name": "app"}, "spec": spec}, "somebody")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "TargetChanged"
    assert (
        "somebody changed the pod template of Deployment app meanwhile" in ready(found)["message"]
    )
    assert not found["status"].get("quarantine")
    await bench.until_runs("v1")


async def test_content_is_kept_as_long_as_a_replica_set_could_come_back(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(preview="None")
    for revision in ("v2", "v3"):
        await bench.revise(revision, note=revision)
        await flow.wish(revision)
        await flow.at("Promoted")
    await flow.looked_at()
    assert len(await bench.config_maps()) == 3
    bench.cluster.kubectl("rollout", "undo", "deployment/app", "-n", bench.namespace)
    await bench.until_runs("v2")
    assert (await bench.ask(await bench.address()))["note"] == "v2"


async def test_content_that_nothing_can_need_any_more_is_deleted(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(preview="None")
    before: set[str] = set()
    history = {"metadata": {"name": "app"}, "spec": {"revisionHistoryLimit": 0}}
    await bench.apply(DEPLOYMENTS, history, "somebody")
    for revision in ("v2", "v3", "v4"):
        older = before
        before = await bench.config_maps()
        await bench.revise(revision, note=revision)
        await flow.wish(revision)
        found = await flow.at("Promoted")
        for one in await bench.replica_sets():
            if not carries(one["spec"]["template"], found["status"]["active"]):
                await gone(bench, REPLICA_SETS, one["metadata"]["name"])
    for name in older:
        await gone(bench, CONFIG_MAPS, name)
    assert await bench.config_maps()


async def test_only_revisions_of_our_own_importer_are_pruned(bench: Bench, begin: Begin) -> None:
    managed = {"belay.dev/managed": "true"}
    for old in ("a1", "a2"):
        await bench.revise(old, note=old, labels=managed)
    await bench.revise("git", note="git")
    flow = await begin(preview="None", revisionHistoryLimit=1)
    await bench.revise("v2", note="second", labels=managed)
    await flow.wish("v2")
    await flow.at("Promoted")
    await gone(bench, REVISIONS, "wf-a1")
    await gone(bench, REVISIONS, "wf-a2")
    await flow.looked_at()
    left = {one["spec"]["revision"] for one in await bench.find(REVISIONS)}
    assert left == {"git", "v1", "v2"}
