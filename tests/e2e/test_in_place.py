"""A workload that is updated in place takes a revision up as it runs; no pod is touched."""

from collections.abc import Sequence
from typing import Any

import yaml
from tests.harness import images
from tests.harness.setup import ROOT
from tests.harness.workbench import Bench, gone
from tests.harness.workbench_flow import Flow, ready

from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, Resource

SAMPLE = ROOT / "deploy/samples/in-place"
Object = dict[str, Any]
RIGHTS = {
    "ServiceAccount": Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    "Role": Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    "RoleBinding": Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
}


def manifests(name: str) -> Sequence[Object]:
    return list(yaml.safe_load_all((SAMPLE / name).read_text()))


async def deploy(bench: Bench, replicas: int) -> None:
    """The sample as it is shipped, but for its image: its program runs in the harness's own."""
    for one in manifests("role.yaml"):
        await bench.apply(RIGHTS[one["kind"]], one)
    (deployment,) = manifests("deployment.yaml")
    deployment["spec"]["replicas"] = replicas
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["image"] = images.base().name
    container["command"] = ["python3", "-u", "-c", (SAMPLE / "app.py").read_text()]
    await bench.apply(DEPLOYMENTS, deployment)


async def publish(bench: Bench, revision: str) -> None:
    content = yaml.safe_load((SAMPLE / f"{revision}.json").read_text())
    await bench.revise(revision, flow="greeter", **content)


async def pods(bench: Bench) -> set[tuple[str, int]]:
    """The pods and how often they were restarted."""
    return {
        (pod["metadata"]["uid"], sum(c["restartCount"] for c in pod["status"]["containerStatuses"]))
        for pod in await bench.pods("greeter")
    }


async def test_the_sample_is_promoted_and_reverted_and_no_pod_is_touched(bench: Bench) -> None:
    await deploy(bench, 2)
    for revision in ("v1", "v2", "v3"):
        await publish(bench, revision)
    (workflow,) = manifests("workflow.yaml")
    workflow["spec"]["verification"]["window"] = "1s"
    flow = Flow(bench, workflow)
    await flow.apply()
    await flow.at("Promoted")
    before = await pods(bench)
    template = (await bench.get(DEPLOYMENTS, "greeter"))["metadata"]["generation"]
    mark = bench.mark()
    await flow.wish("v2")
    found = await flow.at("Observing")
    expected = {"patch workflows/status": 2, "patch configmaps": 2}
    path = await bench.wrote(mark, expected)
    path.pop("create events", None)
    assert path == expected
    evidence = {(e["check"], e["got"]) for e in found["status"]["rollout"]["evidence"]}
    digest = found["status"]["active"]["contentDigest"]
    assert evidence == {("contentDigest", digest[:19]), ("greets", "200")}
    await flow.at("Promoted")
    await flow.wish("v3")
    found = await flow.at("Reverted")
    assert 'check "greets" got 500 instead of 200' in ready(found)["message"]
    assert found["status"]["activeRevision"] == "v2"
    pointer = await bench.get(CONFIG_MAPS, "greeter-current")
    assert digest in pointer["data"]["current.json"]
    assert await pods(bench) == before
    assert (await bench.get(DEPLOYMENTS, "greeter"))["metadata"]["generation"] == template


async def test_good_answers_of_the_old_content_do_not_count(bench: Bench) -> None:
    """The application cannot use v2 and goes on with v1, which passes every check."""
    await deploy(bench, 1)
    await publish(bench, "v1")
    await bench.revise("v2", flow="greeter", farewell="Bye {name}")
    (workflow,) = manifests("workflow.yaml")
    workflow["spec"]["verification"]["window"] = "0s"
    flow = Flow(bench, workflow)
    await flow.apply()
    found = await flow.at("Promoted")
    old = found["status"]["active"]["contentDigest"][:19]
    workflow["spec"]["deadlines"] = {"deliver": "5s"}
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "WrongContent"
    assert "0 of 1 pods report sha256:" in ready(found)["message"]
    assert f"still reports {old}" in ready(found)["message"]
    assert {e["check"] for e in found["status"]["rollout"]["evidence"]} == {"contentDigest"}
    assert [q["reason"] for q in found["status"]["quarantine"]] == ["WrongContent"]


async def test_what_the_pointer_holds_is_adopted_put_back_and_taken_away(bench: Bench) -> None:
    """A first activation that fails leaves no pointer; a lost status is found by it again."""
    await deploy(bench, 1)
    for revision in ("v1", "v3"):
        await publish(bench, revision)
    (workflow,) = manifests("workflow.yaml")
    workflow["spec"]["verification"]["window"] = "0s"
    flow = Flow(bench, workflow)
    await flow.wish("v3")
    message = ready(await flow.at("Failed"))["message"]
    assert "ConfigMap greeter-current is deleted, so nothing is delivered" in message
    await gone(bench, CONFIG_MAPS, "greeter-current")

    await flow.wish("v1")
    await flow.at("Promoted")
    before = await pods(bench)
    mark = bench.mark()
    kubectl = bench.cluster.kubectl
    wipe = ("patch", "workflows.belay.dev", "greeter", "--subresource=status", "--type=json")
    kubectl(*wipe, "-p", '[{"op": "remove", "path": "/status"}]', "-n", bench.namespace)
    found = await flow.until(lambda f: ready(f)["reason"] == "Adopted")
    assert found["status"]["stableRevision"] == "v1"
    assert set(bench.writes(mark)) <= {"patch workflows/status", "create events"}

    edit = ("patch", "configmap", "greeter-current", "--type=merge", "--field-manager=on-call")
    kubectl(*edit, "-p", '{"data": {"definition.json": "{}"}}', "-n", bench.namespace)
    await flow.looked_at()
    found = await flow.until(lambda f: ready(f)["reason"] == "PutBack")
    assert (
        "ConfigMap greeter-current does not hold what was delivered (last written by on-call)"
        in ready(found)["message"]
    )
    pointer = await bench.get(CONFIG_MAPS, "greeter-current")
    assert pointer["data"]["definition.json"] != "{}"
    assert await pods(bench) == before
