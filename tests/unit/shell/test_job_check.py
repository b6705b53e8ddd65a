"""Jobs beside pods: what is made of a CronJob, and what their ends say."""

import asyncio
import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.shell.pods import probe, wall_clock

from belay.api.check import Check
from belay.core.evidence.probe import Answer, Probe, Tried
from belay.shell.checks.job_check import JobAsker, job, job_name, verdict_of
from belay.shell.errors import AlreadyExists, Forbidden, NotFound
from belay.shell.resources import Resource

TRIED = Tried("wf", "uid-of-wf", "3-1", "v3", "sha256:" + "0" * 64)
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
LATE = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}
CRON_JOB: dict[str, Any] = {
    "metadata": {"name": "probe", "annotations": {"belay.dev/workflow": "wf"}},
    "spec": {
        "suspend": True,
        "jobTemplate": {
            "spec": {
                "backoffLimit": 6,
                "template": {
                    "metadata": {"labels": {"team": "shop"}},
                    "spec": {
                        "restartPolicy": "OnFailure",
                        "containers": [
                            {"name": "ask", "env": [{"name": "BELAY_STAGE", "value": "mine"}]}
                        ],
                    },
                },
            }
        },
    },
}


POLICY = "violates PodSecurity"


def asking(timeout: str = "30s", **fields: Any) -> Probe:
    told = {"name": "beside", "timeout": timeout, "job": {"from": "probe"}}
    return replace(probe(Check.model_validate(told)), tried=TRIED, **fields)


class Api:
    """Jobs that end as a test tells them to, at the second look."""

    def __init__(self, *ends: dict[str, Any] | None) -> None:
        self.ends = list(ends)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.cron_job: dict[str, Any] | None = deepcopy(CRON_JOB)
        self.made: list[dict[str, Any]] = []
        self.deleted: list[tuple[str, str | None]] = []
        self.refusal: Exception | None = None
        self.looks = 0
        self.looked = asyncio.Condition()

    async def until_looked(self, times: int) -> None:
        async with self.looked:
            await self.looked.wait_for(lambda: self.looks >= times)

    async def get(self, resource: Resource, _: str, name: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        if resource.kind == "CronJob":
            if self.cron_job is None:
                raise NotFound(404, "NotFound", "none")
            return self.cron_job
        if name not in self.jobs:
            raise NotFound(404, "NotFound", "none")
        self.looks += 1
        async with self.looked:
            self.looked.notify_all()
        return self.jobs[name]

    async def create(self, _: Resource, __: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise AlreadyExists(409, "AlreadyExists", "there")
        end = self.ends.pop(0) if self.ends else None
        self.made.append(body)
        self.jobs[name] = {"metadata": {"uid": f"job-{len(self.made)}"}, "status": end or {}}
        return body

    async def delete(self, _: Resource, __: str, name: str, **options: Any) -> None:
        assert options["propagation"] == "Background"
        self.deleted.append((name, options.get("uid")))
        self.jobs.pop(name, None)

    async def list(
        self, resource: Resource, _: str, *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        if resource.kind == "Event":
            assert fields == f"involvedObject.kind=Job,involvedObject.name={NAME},type=Warning"
            return [
                {"lastTimestamp": "2026-01-01T00:00:01Z", "message": "violates PodSecurity"},
                {"lastTimestamp": "2026-01-01T00:00:00Z", "message": "older"},
            ]
        assert labels == f"batch.kubernetes.io/job-name={job_name(asking(), TRIED)}"
        ended = {"state": {"terminated": {"exitCode": 3}}}
        return [{"status": {"containerStatuses": [ended]}}]


def asker(api: Api) -> JobAsker:
    return JobAsker(api, wall_clock)  # type: ignore[arg-type]


NAME = job_name(asking(), TRIED)


@pytest.mark.parametrize(
    ("end", "answer", "said"),
    [
        (COMPLETE, Answer.RIGHT, f"complete (Job {NAME})"),
        (FAILED, Answer.WRONG, f"exit code 3 (Job {NAME})"),
        (LATE, Answer.UNASKED, f"the pod of Job {NAME} did not start in time: {POLICY}"),
        ({**LATE, "ready": 1}, Answer.NONE, f"Job {NAME} did not end within 30 s"),
    ],
)
async def test_the_end_of_a_job_is_the_answer(
    end: dict[str, Any], answer: Answer, said: str
) -> None:
    sample = await asker(Api(end))(asking())
    assert (sample.answer, sample.got) == (answer, said)


@pytest.mark.parametrize(
    ("status", "answer"), [({"ready": 1}, Answer.NONE), ({"active": 1}, Answer.UNASKED)]
)
async def test_a_job_that_does_not_end_in_time_is_deleted(
    status: dict[str, Any], answer: Answer
) -> None:
    api = Api(status)
    sample = await asker(api)(asking("50ms"))
    assert sample.answer is answer
    assert api.deleted == [(NAME, None)]
    assert api.jobs == {}


async def test_an_ended_job_stays_for_its_logs_and_makes_room_for_the_next() -> None:
    api = Api(FAILED, COMPLETE)
    assert (await asker(api)(asking())).answer is Answer.WRONG
    assert (list(api.jobs), api.deleted) == ([NAME], [])
    assert (await asker(api)(asking())).answer is Answer.RIGHT
    assert api.deleted == [(NAME, "job-1")]


async def test_after_a_crash_the_job_that_runs_is_waited_for_and_no_second_one_made() -> None:
    api = Api()
    first = asyncio.create_task(asker(api)(asking()))
    await api.until_looked(1)
    second = asyncio.create_task(asker(api)(asking()))
    await api.until_looked(3)
    api.jobs[NAME]["status"] = COMPLETE
    samples = await asyncio.gather(first, second)
    assert {sample.answer for sample in samples} == {Answer.RIGHT}
    assert len(api.made) == 1


async def test_a_job_that_nobody_waits_for_any_more_is_deleted() -> None:
    api = Api()
    asked = asyncio.create_task(asker(api)(asking()))
    await api.until_looked(1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert asked.cancelled()
    assert api.jobs == {}


def without(**metadata: Any) -> dict[str, Any]:
    return {**CRON_JOB, "metadata": {"name": "probe", **metadata}}


@pytest.mark.parametrize(
    ("cron_job", "said"),
    [
        (None, "there is no CronJob probe in namespace shop"),
        (without(), "CronJob probe does not name this workflow. Its owner runs: kubectl -n shop"),
        (
            without(annotations={"belay.dev/workflow": "other"}),
            "annotate cronjob probe belay.dev/workflow=wf",
        ),
        (
            {**CRON_JOB, "spec": {**CRON_JOB["spec"], "suspend": False}},
            "CronJob probe runs by itself; it is to be a template only: kubectl -n shop patch",
        ),
    ],
)
async def test_only_a_suspended_cron_job_that_consents_is_a_template(
    cron_job: dict[str, Any] | None, said: str
) -> None:
    api = Api()
    api.cron_job = cron_job
    sample = await asker(api)(asking())
    assert sample.answer is Answer.UNASKED
    assert said in sample.got
    assert api.made == []


async def test_what_the_api_server_refuses_is_told() -> None:
    api = Api()
    api.refusal = Forbidden(403, "Forbidden", "exceeded quota: pods")
    sample = await asker(api)(asking())
    assert sample.answer is Answer.UNASKED
    assert sample.got.endswith("answered 403: exceeded quota: pods")


async def test_a_pod_without_an_address_has_no_job_yet() -> None:
    api = Api()
    assert (await asker(api)(asking(address=""))).got == "pod triage-1 has no address yet"
    assert api.made == []


def test_a_job_is_owned_bounded_and_told_what_to_look_at() -> None:
    template = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]
    before = json.dumps(template)
    made = job(asking("90500ms"), TRIED, template)
    assert json.dumps(template) == before
    assert made["metadata"]["labels"] == {"belay.dev/workflow": "wf"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-of-wf"
    spec = made["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 91)
    assert spec["ttlSecondsAfterFinished"] == 300
    assert spec["template"]["metadata"]["labels"] == {"team": "shop", "belay.dev/workflow": "wf"}
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    (container,) = spec["template"]["spec"]["containers"]
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "BELAY_POD_IP": "127.0.0.1",
        "BELAY_POD_NAME": "triage-1",
        "BELAY_STAGE": "Gate",
        "BELAY_REVISION": "v3",
        "BELAY_CONTENT_DIGEST": TRIED.content_digest,
    }
    assert len(container["env"]) == 5


def test_names_of_jobs_fit_and_differ_by_all_that_they_are_of() -> None:
    long = replace(TRIED, workflow="w" * 52)
    assert len(job_name(asking(), long)) <= 63
    others = [asking(pod_uid="other"), replace(asking(), stage="Preview")]
    names = {job_name(one, TRIED) for one in (asking(), *others)}
    names.add(job_name(asking(), replace(TRIED, rollout="3-2")))
    assert len(names) == 4


def test_a_job_that_is_suspended_or_runs_has_no_verdict() -> None:
    assert verdict_of({}) is None
    assert verdict_of({"status": {"conditions": [{"type": "Complete", "status": "False"}]}}) is None
