"""What is not there yet is waited for; what cannot be is refused before anything is touched."""

import re
import shlex

import pytest
from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.setup import ROOT
from tests.harness.workbench import Bench, Object, gone
from tests.harness.workbench_flow import Flow, ready
from tests.harness.workbench_manifests import ANSWERS

from belay.shell.resources import DEPLOYMENTS, REVISIONS, SECRETS, WORKLOADS


async def test_a_revision_that_is_not_there_yet_is_waited_for(bench: Bench, begin: Begin) -> None:
    flow = await begin()
    await flow.wish("v2")
    found = await flow.at("Pending")
    assert ready(found)["status"] == "Unknown"
    assert ready(found)["reason"] == "RevisionNotFound"
    assert "waiting for WorkflowRevision wf-v2" in ready(found)["message"]
    assert "(known: v1)" in ready(found)["message"]
    await bench.revise("v2", note="second")
    await flow.at("Promoted")


async def test_a_target_that_is_not_there_yet_is_waited_for(bench: Bench) -> None:
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow())
    await flow.apply()
    assert "waiting for Deployment app" in await flow.says("TargetNotFound")
    await bench.deploy()
    await flow.at("Promoted")


async def test_a_target_without_consent_is_refused_and_the_printed_command_heals_it(
    bench: Bench,
) -> None:
    await bench.deploy(flow=None)
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow())
    mark = bench.mark()
    await flow.apply()
    message = await flow.says("TargetNotConsenting")
    await bench.told("TargetNotConsenting")
    expected = {"patch workflows/status": 1, "create events": 1}
    assert set(await bench.wrote(mark, expected)) == set(expected)
    _, command = message.split("Its owner runs: kubectl ")
    bench.cluster.kubectl(*shlex.split(command))
    await flow.looked_at()
    await flow.at("Promoted")


@pytest.mark.parametrize(
    ("target", "spec", "said"),
    [
        ("StatefulSet/app", {"updateStrategy": {"type": "OnDelete"}}, "strategy OnDelete"),
        (
            "StatefulSet/app",
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            "keeps the pods below ordinal 1 from every update",
        ),
        ("DaemonSet/app", {"updateStrategy": {"type": "OnDelete"}}, "strategy OnDelete"),
        ("app", {"paused": True}, "kubectl rollout resume deployment app"),
    ],
)
async def test_a_workload_that_does_not_roll_by_itself_is_refused(
    bench: Bench, target: str, spec: Object, said: str
) -> None:
    kind, _ = manifests.kind_name(target)
    body = manifests.workload(target, replicas=0)
    body["spec"] |= spec
    body["spec"]["template"]["spec"]["nodeSelector"] = {"example.com/nowhere": "true"}
    await bench.apply(WORKLOADS["apps/v1", kind], body)
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow(targets=[target]))
    mark = bench.mark()
    await flow.apply()
    assert said in await flow.says("TargetUnsupported")
    assert set(bench.writes(mark)) <= {"patch workflows/status", "create events"}


async def test_a_field_that_another_manager_owns_is_reported_and_never_taken(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin()
    await bench.delete(DEPLOYMENTS, "app")
    await gone(bench, DEPLOYMENTS, "app")
    theirs = manifests.deployment("app")
    theirs["spec"]["template"]["metadata"]["annotations"] = {"belay.dev/revision": "mine"}
    await bench.apply(DEPLOYMENTS, theirs, "helm")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    message = await flow.says("DeliveryConflict")
    assert '"helm"' in message
    assert "Nothing is forced: let its owner give them up" in message
    await bench.apply(DEPLOYMENTS, manifests.deployment("app"), "helm")
    await flow.looked_at()
    await flow.at("Promoted")


async def test_a_name_that_came_back_with_other_content_is_refused(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin()
    await bench.delete(REVISIONS, "wf-v1")
    await gone(bench, REVISIONS, "wf-v1")
    await bench.revise("v1", note="forged")
    flow.spec["revisionHistoryLimit"] = 9
    await flow.apply()
    message = await flow.says("RevisionReplaced")
    assert re.search(r"\(was sha256:\w{8}, is sha256:\w{8}\)", message)
    await bench.until_runs("v1")


async def test_a_definition_that_does_not_fit_its_digest_is_refused(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin()
    forged = manifests.revision_body("wf", "v2", {"note": "second"})
    forged["spec"]["definition"] = '{"note": "forged"}'
    await bench.apply(REVISIONS, forged)
    mark = bench.mark()
    await flow.wish("v2")
    assert "contentDigest says sha256:" in await flow.says("DigestMismatch")
    assert set(bench.writes(mark)) <= {"patch workflows/status", "create events"}


@pytest.mark.usefixtures("own_place")
@pytest.mark.parametrize("own_place", [("--resync-seconds", "2")], indirect=True)
async def test_credentials_of_a_check_are_read_only_where_a_tenant_grants_it(
    bench: Bench, begin: Begin
) -> None:
    """What was refused is looked at again at each resync, without anybody's help."""
    ref = {"name": "triage-check", "key": "token"}
    header = {"name": "X-Key", "valueFrom": {"secretKeyRef": ref}}
    http = {"port": "http", "path": "/run", "headers": [header]}
    flow = await begin(checks=[{**ANSWERS, "http": http}])
    secret = {"metadata": {"name": "triage-check"}, "type": "belay.dev/check-credentials"}
    await bench.apply(SECRETS, {**secret, "stringData": {"token": "hidden"}})
    await bench.revise("v2", key="hidden")
    await flow.wish("v2")
    message = await flow.says("CheckCredentials")
    assert 'Belay may not read Secret "triage-check"; grant it: kubectl create role' in message
    assert "deploy/samples/check-credentials-role.yaml" in message
    sample = ROOT / "deploy" / "samples" / "check-credentials-role.yaml"
    bench.cluster.kubectl("apply", "-n", bench.namespace, "-f", str(sample))
    found = await flow.at("Promoted")
    assert "hidden" not in str(found) + bench.said
