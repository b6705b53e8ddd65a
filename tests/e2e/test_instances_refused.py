"""What the API server refuses while instances are being paused, or let go."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests.e2e.conftest import Begin
from tests.e2e.lingering import linger, release
from tests.e2e.test_instances import INSTANCES, LABELS, fates, job_pods, marked, suspended
from tests.harness import kube
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT
from tests.harness.workbench import SECONDS, Bench, Object
from tests.harness.workbench_flow import Flow, ready
from tests.harness.workbench_operator import Operator

from belay.api.names import LABEL_PAUSED_BY
from belay.shell.errors import Invalid
from belay.shell.resources import CRON_JOBS, JOBS, Resource

RBAC = "rbac.authorization.k8s.io"
BINDINGS = Resource(RBAC, "v1", "rolebindings", "RoleBinding")
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
GUARDED = "guarded"
B_LABELS = {**LABELS, GUARDED: "yes"}


@pytest.fixture
def own_place(
    cluster: Cluster, crds: None, namespace: str, tmp_path: Path
) -> Iterator[tuple[str, Operator]]:
    """An operator with the shipped rights, those on Jobs by a RoleBinding of its own."""
    with _rights(cluster, namespace):
        file = tmp_path / "operator.kubeconfig"
        login = kube.service_account_kubeconfig(cluster, namespace, "belay", file)
        running = Operator(login, (namespace,), tmp_path / "operator.log")
        running.start()
        yield namespace, running
        running.close()


@contextmanager
def _rights(cluster: Cluster, namespace: str) -> Iterator[None]:
    text = (ROOT / "deploy/base/rbac.yaml").read_text()
    shipped = next(
        m
        for m in yaml.safe_load_all(text)
        if (m["kind"], m["metadata"]["name"]) == ("ClusterRole", "belay")
    )
    jobs = [rule for rule in shipped["rules"] if "jobs" in rule["resources"]]
    others = [rule for rule in shipped["rules"] if rule not in jobs]
    subjects = [{"kind": "ServiceAccount", "name": "belay", "namespace": namespace}]
    made: list[Object] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "belay"}}
    ]
    for kind, name, rules in (("ClusterRole", namespace, others), ("Role", "jobs", jobs)):
        reference = {"apiGroup": RBAC, "kind": kind, "name": name}
        made += [
            {**_head(kind, name), "rules": rules},
            {**_head(f"{kind}Binding", name), "roleRef": reference, "subjects": subjects},
        ]
    where = ("--namespace", namespace, "-f", "-")
    text = yaml.safe_dump_all(made)
    cluster.kubectl("apply", *where, stdin=text)
    try:
        yield
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", namespace)


def _head(kind: str, name: str) -> Object:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name}}


@pytest.fixture
async def guarded(cluster: Cluster, bench: Bench) -> AsyncIterator[None]:
    """A policy by which nobody may suspend a Job with the label `guarded`."""
    name = f"keep-{bench.namespace}"
    chosen = {"matchLabels": {"kubernetes.io/metadata.name": bench.namespace}}
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"]}
    policy = {
        "matchConstraints": {"resourceRules": [{**rule, "operations": ["UPDATE"]}]},
        "validations": [
            {
                "expression": f"!('{GUARDED}' in object.metadata.labels) || !object.spec.suspend",
                "message": "a guarded Job runs to its end",
            }
        ],
    }
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": chosen},
    }
    group = "admissionregistration.k8s.io"
    kinds = ("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)
    head = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    both = [{**head, "kind": kind, "spec": spec} for kind, spec in kinds]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(both))
    yield
    cluster.kubectl("delete", ",".join(f"{kind}.{group}" for kind, _ in kinds), name)


async def until_guarded(bench: Bench) -> None:
    """Wait until the API server keeps to the policy."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await bench.apply(JOBS, manifests.job("b", labels=B_LABELS, suspend=True))
            except Invalid:
                return
            await bench.apply(JOBS, manifests.job("b", labels=B_LABELS, suspend=False))


async def slow_job(bench: Bench, name: str = "slow", ends_after: int = 15) -> None:
    """Its pod is deaf, and is killed this many seconds after it was asked to end."""
    job = manifests.job(name, labels=LABELS)
    pod = job["spec"]["template"]["spec"]
    pod["containers"][0]["command"][-1] = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)"
    )
    pod["terminationGracePeriodSeconds"] = ends_after
    await bench.apply(JOBS, job)
    await bench.until(JOBS, name, lambda found: found["status"].get("ready"))


async def refused(flow: Flow, reason: str) -> str:
    """Wait for the end: nothing was delivered, and nobody is blamed."""
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == reason, ready(found)
    assert not found["status"].get("quarantine")
    await flow.bench.until_runs("v1")
    return str(ready(found)["message"])


@pytest.mark.usefixtures("own_place")
async def test_a_right_that_is_taken_away_while_instances_pause(bench: Bench, begin: Begin) -> None:
    """What may not be listed any more is not taken for nothing, and goes on in the end."""
    await slow_job(bench, "a", ends_after=12)
    flow = await begin(preview="None", instances=INSTANCES)
    await bench.revise("v2", note="second")
    binding = await bench.get(BINDINGS, "jobs")
    await flow.wish("v2")
    await bench.until(JOBS, "a", lambda found: LABEL_PAUSED_BY in found["metadata"]["labels"])
    await bench.delete(BINDINGS, "jobs")
    await flow.at("Resuming")
    assert await marked(bench) == {"a"}
    binding["metadata"] = {"name": "jobs"}
    await bench.apply(BINDINGS, binding)
    message = await refused(flow, "EnvironmentForbidden")
    assert "spec.instances: Job: jobs.batch is forbidden" in message
    assert "Let Belay list and patch jobs" in message
    assert await marked(bench) == await suspended(bench) == set()


@pytest.mark.usefixtures("guarded")
async def test_a_policy_that_denies_the_pause_of_one(bench: Bench, begin: Begin) -> None:
    """Denied in mid-Pausing, the others go on; denied to the first, nothing is touched."""
    for name, labels in (("a", LABELS), ("b", B_LABELS)):
        await bench.apply(JOBS, manifests.job(name, labels=labels))
    flow = await begin(preview="None", instances=INSTANCES)
    await bench.revise("v2", note="second")
    await until_guarded(bench)
    await flow.wish("v2")
    message = await refused(flow, "EnvironmentConfiguration")
    assert "spec.instances: Job b: " in message
    assert "a guarded Job runs to its end" in message
    assert "set policy: Pin for its kind" in message
    assert await marked(bench) == await suspended(bench) == set()
    await bench.delete(JOBS, "a")
    mark = bench.mark()
    await flow.annotate("retry", "now")
    found = await flow.at("Refused")
    assert ready(found)["reason"] == "InstancesUnsupported"
    assert "a guarded Job runs to its end" in ready(found)["message"]
    assert bench.writes(mark)["patch jobs"] == 0


async def test_a_quota_that_a_job_meets_when_it_goes_on_is_its_own_matter(
    bench: Bench, begin: Begin
) -> None:
    """Its field is given up, though its pod may not come back yet: nobody waits for that."""
    job = manifests.job("a", labels=LABELS)
    job["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 3600
    await bench.apply(JOBS, job)
    await bench.until(JOBS, "a", lambda found: found["status"].get("active"))
    flow = await linger(bench, begin, "Delivering", instances=INSTANCES)
    # Pods with a deadline are of this scope: those of Jobs here, and no others.
    quota = {"hard": {"pods": "0"}, "scopes": ["Terminating"]}
    await bench.apply(QUOTAS, {"metadata": {"name": "tight"}, "spec": quota})
    await bench.until(QUOTAS, "tight", lambda found: "pods" in found["status"].get("used", {}))
    await release(bench, flow, "Delivering")
    found = await flow.at("Promoted")
    assert fates(found)["restarted"] == 1
    assert await marked(bench) == await suspended(bench) == set()
    assert await job_pods(bench) == 0
    await bench.delete(QUOTAS, "tight")
    await bench.until(JOBS, "a", lambda found: found["status"].get("active"))


async def test_a_job_that_takes_too_long_to_end_ends_the_rollout_and_goes_on(
    bench: Bench, begin: Begin
) -> None:
    """Its pod outlives deadlines.pause; what stood still already goes on, too."""
    await slow_job(bench)
    await bench.apply(
        CRON_JOBS, manifests.cron_job("pass", "nightly", labels=LABELS, suspend=False)
    )
    deadlines = {"pause": "2s"}
    flow = await begin(preview="None", instances=INSTANCES, deadlines=deadlines)
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    message = await refused(flow, "PauseTimeout")
    assert re.search(r"1 of 2 instances did not pause within [\d.]+ s \(Job slow\)", message)
    assert await marked(bench) == await suspended(bench) == set()


@pytest.mark.parametrize(("policy", "not_paused"), [("Proceed", 1), ("Wait", 0)])
async def test_a_job_that_takes_too_long_to_end_is_left_or_waited_for_as_its_workflow_says(
    bench: Bench, begin: Begin, policy: str, not_paused: int
) -> None:
    """And in the end it runs again, whatever it was."""
    await slow_job(bench)
    flow = await begin(
        preview="None",
        instances={**INSTANCES, "onPauseTimeout": policy},
        deadlines={"pause": "2s"},
    )
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    await flow.at("Delivering", "Verifying")
    assert (await job_pods(bench) > 0) == bool(not_paused)
    found = await flow.at("Promoted")
    told = fates(found)
    assert (told["found"], told.get("notPaused", 0)) == (1, not_paused)
    assert await marked(bench) == await suspended(bench) == set()
    await bench.until(JOBS, "slow", lambda job: job["status"].get("ready"))
