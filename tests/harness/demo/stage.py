"""Where the story plays: commands as a person types them, and what they lead to."""

import json
import os
import shlex
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.harness import kube
from tests.harness.cluster import Cluster
from tests.harness.demo.install import Installation
from tests.harness.demo.runs import Runs
from tests.harness.demo.screen import Screen
from tests.harness.demo.timeline import Object, Timeline
from tests.harness.demo.traffic import Client, Tally
from tests.harness.setup import run

from belay.core.workloads.deployment import DEPLOYMENT

_PROGRAM = "from belay.cli.app import main; main()"
_SECONDS = 120


class StoryError(Exception):
    """Belay did something else than the story tells."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """One wish, and what came of it. Seconds count from the moment the patch was typed."""

    outcome: str
    reason: str
    patched: float
    active: float | None
    ended: float | None
    put_back: float | None
    """Seconds from the failing verdict to the end of the revert."""
    requests: Tally
    writes: Counter[str] | None
    """The operator's writes by verb and resource; None without an audit log."""
    adopted: bool
    instances: Object
    """How many runs were paused, resumed, restarted and lost."""


@dataclass(slots=True)
class Stage:
    """A namespace with the sample in it, the operator, and a user of the application."""

    screen: Screen
    cluster: Cluster
    operator: Installation
    namespace: str
    client: Client
    runs: Runs
    _told: set[str] = field(default_factory=set)

    def typed(self, line: str) -> str:
        """Show a kubectl command, run it, show what it prints."""
        self.screen.command(line)
        printed = self.cluster.kubectl(*shlex.split(line)[1:])
        self.screen.printed(printed)
        return printed

    def snapshot(self, file: Path, why: str, *more: str) -> None:
        """Publish a revision by the real `belay snapshot`."""
        words = ["-f", file.name, "--workflow", "triage", "-m", why, *more, "--apply"]
        self.screen.command(shlex.join(["belay", "snapshot", "-n", self.namespace, *words]))
        where = ["-n", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig)]
        command = [sys.executable, "-c", _PROGRAM, "snapshot", *where, *words]
        path = os.pathsep.join(filter(None, sys.path))
        self.screen.printed(run(command, cwd=file.parent, env={"PYTHONPATH": path}))

    def workflow(self) -> Object:
        """The Workflow as it is."""
        found: Object = self.cluster.get("-n", self.namespace, "workflows.belay.dev", "triage")
        return found

    def content(self, revision: str) -> str:
        """Digest of what a revision delivers."""
        name = f"triage-{revision}"
        found = self.cluster.get("-n", self.namespace, "workflowrevisions.belay.dev", name)
        return str(found["spec"]["contentDigest"])

    def pods(self) -> set[str]:
        """UIDs of the application's pods that are not ending."""
        found = self.cluster.get("-n", self.namespace, "pods", "-l", "app=triage")["items"]
        return {p["metadata"]["uid"] for p in found if "deletionTimestamp" not in p["metadata"]}

    def bare_rollout(self, command: str) -> float:
        """Seconds that the Deployment takes to roll by a kubectl command, without Belay."""
        before = self.cluster.get("-n", self.namespace, "deployment", "triage")
        began = time.monotonic()
        self.typed(command)

        def complete(found: Object) -> bool:
            newer = found["metadata"]["generation"] > before["metadata"]["generation"]
            return newer and DEPLOYMENT.completion(found).done

        with self.screen.moving(lambda: f"rolling, {time.monotonic() - began:.1f} s"):
            kube.wait(self.cluster, self.namespace, "deployment/triage", complete, _SECONDS)
        took = time.monotonic() - began
        self.screen.row("complete", "2 of 2 pods; nothing was proven", took)
        return took

    def patch(self, change: Object) -> None:
        """Patch the spec of the Workflow, as a person would."""
        self.typed(
            f"kubectl -n {self.namespace} patch workflows.belay.dev triage --type merge "
            f"-p '{_dump({'spec': change})}'"
        )

    def roll(self, change: Object | str) -> Rolled:
        """Patch the Workflow, or type a command; then show what happens until the answer."""
        audit = self.cluster.audit()
        begin = audit.mark() if audit else 0
        asked = self.client.mark()
        after = self.workflow()["metadata"]["generation"] if isinstance(change, dict) else 0
        patched = datetime.now(UTC)
        line = Timeline(self.screen, patched, after)
        if isinstance(change, dict):
            self.patch(change)
        else:
            self.typed(change)
        with self.screen.moving(lambda: f"{line.now()}; {self._meanwhile(asked)}"):
            what = "workflows.belay.dev/triage"
            found = kube.wait(self.cluster, self.namespace, what, line.see, _SECONDS)
        ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
        if line.adopted:
            self.screen.row("adopted", ready["message"], _since(patched), ready["reason"])
        self._events(ready["reason"] if line.adopted else line.record["outcome"])
        requests = self.client.since(asked)
        if requests.total:
            self.screen.say(f"  through the Service meanwhile: {requests}")
        return Rolled(
            outcome=found["status"]["phase"],
            reason=ready["reason"],
            patched=patched.timestamp(),
            active=None if line.adopted else line.seconds("activatedAt"),
            ended=None if line.adopted else line.seconds("endedAt"),
            put_back=line.put_back,
            requests=requests,
            writes=self.writes(begin),
            adopted=line.adopted,
            instances=line.record.get("instances") or {},
        )

    def _meanwhile(self, mark: int) -> str:
        return f"{self.client.since(mark)}; {self.runs.in_flight} long runs in flight"

    def writes(self, since: int) -> Counter[str] | None:
        """The operator's writes in the namespace after a mark of the audit log."""
        audit = self.cluster.audit()
        if audit is None:
            return None
        calls = audit.entries(since=since, user=self.operator.user, namespace=self.namespace)
        return Counter(
            f"{call.verb} {call.resource}{'/' * bool(call.subresource)}{call.subresource}"
            for call in calls
            if call.is_write
        )

    def _events(self, last: str) -> None:
        """Show the events about the Workflow that are new, up to the one that comes last."""
        end = time.monotonic() + 5
        new = self._new_events()
        while last not in [each["reason"] for each in new] and time.monotonic() < end:
            time.sleep(0.1)
            new = self._new_events()
        for each in new:
            self._told.add(each["metadata"]["name"])
            self.screen.say(
                f"  event  {each['type']:<8} {each['reason']:<15} {each['note']}", "dim"
            )

    def _new_events(self) -> list[dict[str, Any]]:
        found = self.cluster.get("-n", self.namespace, "events.events.k8s.io")["items"]
        ours = [e for e in found if e["regarding"]["kind"] == "Workflow"]
        new = [e for e in ours if e["metadata"]["name"] not in self._told]
        return sorted(new, key=lambda each: str(each["eventTime"]))


def _dump(value: Object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
