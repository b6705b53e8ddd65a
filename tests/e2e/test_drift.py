"""What runs is adopted where its record was lost; what others do to it at rest is answered."""

import json

from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench, Object, gone
from tests.harness.workbench_flow import condition, ready

from belay.shell.resources import DEPLOYMENTS, WORKFLOWS

HARMLESS = {"patch workflows/status", "create events"}


async def generation(bench: Bench) -> int:
    return int((await bench.get(DEPLOYMENTS, "app"))["metadata"]["generation"])


async def template(bench: Bench) -> Object:
    found: Object = (await bench.get(DEPLOYMENTS, "app"))["spec"]["template"]
    return found


def kubectl(bench: Bench, *args: str, body: Object | None = None) -> None:
    text = json.dumps(body) if body is not None else None
    bench.cluster.kubectl(*args, "-n", bench.namespace, stdin=text)


def application() -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", **manifests.deployment("app")}


async def test_a_status_that_was_wiped_is_found_again_where_it_runs(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin()
    before, mark = await generation(bench), bench.mark()
    wipe = ("patch", "workflows.belay.dev", "wf", "--subresource=status", "--type=json")
    kubectl(bench, *wipe, "-p", '[{"op": "remove", "path": "/status"}]')
    found = await flow.until(lambda f: ready(f)["reason"] == "Adopted")
    assert ready(found)["status"] == "True"
    assert found["status"]["stableRevision"] == "v1"
    assert set(bench.writes(mark)) <= HARMLESS
    assert await generation(bench) == before


async def test_a_workflow_made_anew_has_what_runs_to_go_back_to(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None")
    await bench.revise("v2", code=500)
    await bench.delete(WORKFLOWS, "wf")
    await gone(bench, WORKFLOWS, "wf")
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert found["status"]["stableRevision"] == "v1"
    assert [h["revision"] for h in found["status"]["history"]] == ["v2", "v1"]
    await bench.until_runs("v1")


async def test_an_undo_at_rest_is_told_and_left_alone_until_a_retry(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(preview="None")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    await flow.at("Promoted")
    kubectl(bench, "rollout", "undo", "deployment/app")
    await bench.until_runs("v1")
    mark = bench.mark()
    found = await flow.until(lambda f: ready(f)["status"] == "False")
    await flow.looked_at()
    assert condition(found, "Serving")["status"] == "False"
    told = condition(found, "Drifted")["message"]
    assert "kubectl" in told
    assert "it runs the content of v1, and v2 should run" in told
    assert set(bench.writes(mark)) <= HARMLESS
    await flow.annotate("retry", "again")
    found = await flow.at("Promoted")
    assert not condition(found, "Drifted")["status"]
    await bench.until_runs("v2")


async def test_what_a_replace_took_out_is_put_back(bench: Bench, begin: Begin) -> None:
    flow = await begin()
    kubectl(bench, "replace", "-f", "-", body=application())
    assert not (await bench.get(DEPLOYMENTS, "app"))["spec"]["template"]["spec"].get("volumes")
    await flow.looked_at()
    found = await flow.until(lambda f: ready(f)["reason"] == "PutBack")
    assert "the delivery was taken out of Deployment app" in ready(found)["message"]
    await bench.until_runs("v1")


async def test_twenty_re_applies_of_the_deployment_change_nothing(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin()
    await bench.told("RolloutStarted", "Activated", "Promoted")
    kubectl(bench, "apply", "-f", "-", body=application())
    before, mark = await template(bench), bench.mark()
    made = len(await bench.replica_sets())
    for number in range(20):
        server_side = ("--server-side", "--field-manager=argocd", "--force-conflicts")
        if number < 4:
            options = server_side if number % 2 else ()
            kubectl(bench, "apply", *options, "-f", "-", body=application())
        else:
            await bench.apply(DEPLOYMENTS, application(), "argocd")
    await flow.looked_at()
    assert await template(bench) == before
    assert len(await bench.replica_sets()) == made
    assert not bench.writes(mark)
    assert ready(await flow.now())["status"] == "True"
