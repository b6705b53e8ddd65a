"""Checks besides HTTP, against real pods: commands inside them, and Jobs beside them."""

import asyncio
from typing import Any

from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.setup import ROOT
from tests.harness.workbench import SECONDS, Bench, carries
from tests.harness.workbench_flow import ready

from belay.shell.resources import CRON_JOBS, JOBS

ASK_BY_JOB = """
import os, urllib.request
for name in ("POD_NAME", "STAGE", "REVISION", "CONTENT_DIGEST"):
    print(name, os.environ["BELAY_" + name])
url = "http://" + os.environ["BELAY_POD_IP"] + ":8080/run"
told = urllib.request.urlopen(url).read().decode()
raise SystemExit(3 if '"broken": true' in told else 0)
"""
ASK_INSIDE = """
import urllib.request
told = urllib.request.urlopen("http://127.0.0.1:8080/run").read().decode()
print("HID" + "DEN")
raise SystemExit(7 if '"ill": true' in told else 0)
"""
INSIDE: dict[str, Any] = {
    "name": "inside",
    "exec": {"command": ["python3", "-c", ASK_INSIDE]},
    "period": "500ms",
    "timeout": "20s",
}
BESIDE: dict[str, Any] = {
    "name": "beside",
    "job": {"from": "probe"},
    "at": ["Preview"],
    "period": "1s",
    "timeout": "60s",
    "failureThreshold": 1,
}


def grant_exec(bench: Bench) -> None:
    sample = ROOT / "deploy" / "samples" / "check-exec-role.yaml"
    bench.cluster.kubectl("apply", "-n", bench.namespace, "-f", str(sample))


async def no_job_runs(bench: Bench) -> None:
    """Wait until no Job is left that has not ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            jobs = await bench.api.list(JOBS, bench.namespace)
            if not any(map(_runs, jobs)):
                return
            await asyncio.sleep(0.1)


def _runs(job: dict[str, Any]) -> bool:
    return not (job.get("status") or {}).get("conditions")


async def test_a_command_inside_and_a_job_beside_the_pods_prove_a_revision_and_fail_another(
    bench: Bench, begin: Begin
) -> None:
    await bench.apply(CRON_JOBS, manifests.cron_job(ASK_BY_JOB))
    flow = await begin(checks=[INSIDE, BESIDE], window="60s")
    mark = bench.mark()
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    message = await flow.says("CheckForbidden")
    assert 'check "inside": Belay may not run commands in pods; grant it: kubectl' in message
    grant_exec(bench)
    flow.spec["verification"]["window"] = "50s"
    await flow.apply()
    found = await flow.at("Observing")
    assert ("create", "jobs") in [(call.verb, call.resource) for call in bench.calls(mark)]
    (pod,) = [p for p in await bench.pods() if carries(p, found["status"]["active"])]
    await bench.tell(pod["metadata"]["name"], ill=True)
    found = await flow.at("Reverted")
    assert 'check "inside" got exit code 7 from exec in app: python3' in ready(found)["message"]
    assert "HIDDEN" not in str(found) + bench.said

    await bench.revise("v3", broken=True)
    await flow.wish("v3")
    found = await flow.at("Reverted")
    message = ready(found)["message"]
    assert 'check "beside" got exit code 3 (Job wf-beside-' in message
    assert "from Job from CronJob probe on 1 of 1 tries" in message
    await bench.until_runs("v1")
    await no_job_runs(bench)
