"""What kube-controller-manager does for a Job: one pod, while it is not suspended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tests.scenario.ownership import Entry
from tests.scenario.records import Event, Write
from tests.scenario.shapes import Object, copied
from tests.scenario.store import Server
from tests.scenario.world.owned import controller, dying, owned

from belay.shell.resources import JOBS, PODS

_WRITE = Write(Entry("kube-controller-manager", "Update", ""))
_LABEL = "batch.kubernetes.io/job-name"


@dataclass(slots=True)
class Jobs:
    """One step brings every Job nearer to what it asks for."""

    server: Server
    delay: Callable[[], float]
    _stepping: bool = False
    _made: int = 0

    def __post_init__(self) -> None:
        self.server.listeners.append(self._happened)

    def step(self) -> None:
        self._stepping = False
        for job in self.server.list(JOBS):
            pods = owned(self.server, PODS, job)
            suspended = job["spec"]["suspend"]
            for pod in pods if suspended else ():
                if not dying(pod):
                    self.server.delete(PODS, job["metadata"]["namespace"], pod["metadata"]["name"])
            if not suspended and not pods:
                self._start(job)
            if not (suspended and pods):
                self._report(job, suspended)

    def _happened(self, event: Event) -> None:
        concerned = event.id[0] in (JOBS, PODS) and self.server.view(JOBS)
        if concerned and not self._stepping:
            self._stepping = True
            asyncio.get_running_loop().call_later(self.delay(), self.step)

    def _start(self, job: Object) -> None:
        self._made += 1
        name = job["metadata"]["name"]
        template = copied(job["spec"]["template"])
        metadata = {
            "name": f"{name}-{self._made}",
            "labels": {"app": name, _LABEL: name},
            "ownerReferences": [controller(JOBS, job)],
        }
        body = {"metadata": metadata, "spec": template["spec"]}
        self.server.create(PODS, job["metadata"]["namespace"], body, _WRITE)

    def _report(self, job: Object, suspended: bool) -> None:
        condition = {"type": "Suspended", "status": "True" if suspended else "False"}
        if (job.get("status") or {}).get("conditions") != [condition]:
            body = {**job, "status": {"conditions": [condition]}}
            self.server.replace(JOBS, job["metadata"]["namespace"], body, _WRITE)
