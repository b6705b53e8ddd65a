"""One Job of a check beside a pod, made from a CronJob's template, and what came of it.

At most one Job is there for each check, pod and stage of a rollout: its name says which. Whoever
asks finds the one that runs, also after a crash. Kubernetes ends each by its own deadline, and
takes it away some time after its end; a Job that nobody waits for any more is deleted at once.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from belay.api.names import ANNOTATION_WORKFLOW, LABEL_WORKFLOW
from belay.core.delivery import owned_by_workflow
from belay.core.evidence.probe import Answer, Probe, Sample, Tried
from belay.shell.checks.credentials import Problem
from belay.shell.checks.dialling import Result, sampled
from belay.shell.cluster import Cluster
from belay.shell.errors import AlreadyExists, ApiError, NotFound
from belay.shell.resources import CORE_EVENTS, CRON_JOBS, JOBS, PODS, Object

KEPT_SECONDS: Final = 300
"""How long an ended Job stays for people to read its logs."""
_LOOKS: Final = (0.5, 5.0)
"""Seconds between two looks at a Job, at first and at most."""


@dataclass(frozen=True, slots=True)
class JobAsker:
    """Asks probes by a Job. Never raises for what comes of it."""

    cluster: Cluster
    now: Callable[[], datetime]

    async def __call__(self, probe: Probe) -> Sample:
        return sampled(await self._asked(probe), self.now())

    async def _asked(self, probe: Probe) -> Result:
        tried = probe.tried
        if tried is None or not probe.address:
            return Answer.UNASKED, f"pod {probe.pod} has no address yet"
        name = job_name(probe, tried)
        try:
            begun = await self._begin(probe, tried, name)
            if isinstance(begun, Problem):
                return Answer.UNASKED, begun.text
            return await self._ended(probe, name)
        except ApiError as error:
            said = f"the API server answered {error.code}" if error.code else "no answer"
            return Answer.UNASKED, f"Job {name}: {said}: {error.message}"
        except asyncio.CancelledError:
            await self._delete(probe, name)
            raise

    async def _begin(self, probe: Probe, tried: Tried, name: str) -> Problem | None:
        """Make the Job, unless it runs already; one that has ended makes room for it."""
        try:
            there = await self.cluster.get(JOBS, probe.namespace, name)
        except NotFound:
            there = None
        assert probe.check.job is not None  # noqa: S101
        if there is not None and verdict_of(there) is None:
            return None
        if there is not None:
            await self._delete(probe, name, there["metadata"]["uid"])
        template = await read_template(
            self.cluster, probe.namespace, probe.check.job.from_, tried.workflow
        )
        if isinstance(template, Problem):
            return template
        try:
            await self.cluster.create(JOBS, probe.namespace, job(probe, tried, template))
        except AlreadyExists:
            return Problem(f"Job {name} of before is still going")
        return None

    async def _ended(self, probe: Probe, name: str) -> Result:
        """Wait for the Job's end, as long as it may take."""
        started = False
        look, most = _LOOKS
        try:
            async with asyncio.timeout(probe.check.limit):
                while True:
                    found = await self.cluster.get(JOBS, probe.namespace, name)
                    started |= bool((found.get("status") or {}).get("ready"))
                    verdict = verdict_of(found)
                    if verdict is not None:
                        break
                    await asyncio.sleep(look)
                    look = min(look * 1.5, most)
        except NotFound:
            return Answer.UNASKED, f"Job {name} was deleted by somebody"
        except TimeoutError:
            await self._delete(probe, name)
            verdict = Answer.NONE
        if verdict is Answer.RIGHT:
            return verdict, f"complete (Job {name})"
        if verdict is Answer.WRONG:
            return verdict, f"{await self._failure(probe, name)} (Job {name})"
        if not started:
            why = await self._warning(probe, name)
            return Answer.UNASKED, f"the pod of Job {name} did not start in time{why}"
        return Answer.NONE, f"Job {name} did not end within {probe.check.limit:g} s"

    async def _failure(self, probe: Probe, name: str) -> str:
        labels = f"batch.kubernetes.io/job-name={name}"
        for pod in await self.cluster.list(PODS, probe.namespace, labels=labels):
            for container in (pod.get("status") or {}).get("containerStatuses") or []:
                ended = (container.get("state") or {}).get("terminated") or {}
                if ended.get("exitCode"):
                    return f"exit code {ended['exitCode']}"
        return "a failure"

    async def _warning(self, probe: Probe, name: str) -> str:
        """The newest warning about a Job, such as one that admission refuses its pod."""
        fields = f"involvedObject.kind=Job,involvedObject.name={name},type=Warning"
        events = await self.cluster.list(CORE_EVENTS, probe.namespace, fields=fields)
        newest = max(events, key=lambda e: str(e.get("lastTimestamp") or ""), default=None)
        return f": {newest.get('message')}" if newest is not None else ""

    async def _delete(self, probe: Probe, name: str, uid: str | None = None) -> None:
        """Best effort: what stays ends by its own deadline."""
        try:
            async with asyncio.timeout(5.0):
                await self.cluster.delete(
                    JOBS, probe.namespace, name, uid=uid, propagation="Background"
                )
        except (ApiError, TimeoutError):
            return


async def read_template(
    cluster: Cluster, namespace: str, name: str, workflow: str
) -> Object | Problem:
    """The pod template of a CronJob that consents. Raises `ApiError`."""
    try:
        raw = await cluster.get(CRON_JOBS, namespace, name)
    except NotFound:
        return Problem(f"there is no CronJob {name} in namespace {namespace}")
    consent = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_WORKFLOW)
    if consent != workflow:
        return Problem(
            f"CronJob {name} does not name this workflow. Its owner runs: kubectl -n {namespace} "
            f"annotate cronjob {name} {ANNOTATION_WORKFLOW}={workflow}"
        )
    if not raw["spec"].get("suspend"):
        return Problem(
            f"CronJob {name} runs by itself; it is to be a template only: kubectl -n {namespace} "
            f'patch cronjob {name} -p \'{{"spec":{{"suspend":true}}}}\''
        )
    template: Object = raw["spec"]["jobTemplate"]["spec"]["template"]
    return template


def job_name(probe: Probe, tried: Tried) -> str:
    """The same for each Job of one check, pod and stage of a rollout."""
    which = f"{tried.rollout}/{probe.stage}/{probe.check.name}/{probe.pod_uid}"
    readable = f"{tried.workflow}-{probe.check.name}"[:52].rstrip("-")
    return f"{readable}-{hashlib.sha256(which.encode()).hexdigest()[:10]}"


def job(probe: Probe, tried: Tried, template: Object) -> Object:
    """The Job: the template, told what to look at, run once and bounded in time."""
    told = {
        "BELAY_POD_IP": probe.address,
        "BELAY_POD_NAME": probe.pod,
        "BELAY_STAGE": probe.stage.value,
        "BELAY_REVISION": tried.revision,
        "BELAY_CONTENT_DIGEST": tried.content_digest,
    }
    labels = {LABEL_WORKFLOW: tried.workflow}
    metadata = template.get("metadata") or {}
    pod_labels = {**(metadata.get("labels") or {}), **labels}
    spec = {**template["spec"], "restartPolicy": "Never"}
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            spec[kind] = [_told(container, told) for container in spec[kind]]
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": job_name(probe, tried),
            "namespace": probe.namespace,
            "labels": labels,
            "ownerReferences": [owned_by_workflow(tried.workflow, tried.uid)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": math.ceil(probe.check.limit),
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {**metadata, "labels": pod_labels}, "spec": spec},
        },
    }


def _told(container: Object, told: dict[str, str]) -> Object:
    own = [one for one in container.get("env") or [] if one["name"] not in told]
    return {**container, "env": [*own, *({"name": k, "value": v} for k, v in told.items())]}


def verdict_of(found: Object) -> Answer | None:
    """What an ended Job says; None while it runs."""
    conditions: list[dict[str, Any]] = (found.get("status") or {}).get("conditions") or []
    true = {c["type"]: c for c in conditions if c.get("status") == "True"}
    if "Complete" in true:
        return Answer.RIGHT
    if "Failed" in true:
        late = true["Failed"].get("reason") == "DeadlineExceeded"
        return Answer.NONE if late else Answer.WRONG
    return None
