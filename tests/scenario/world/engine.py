"""Engines in the pods of the world: what each has in memory, and what it answers."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785

from belay.api.instances import Engine
from belay.core.engine.view import EnginePod, RunState
from belay.shell.backups.store import Store
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.engine import wire
from belay.shell.engine.client import EngineError, NoAnswer


@dataclass(slots=True)
class Process:
    """One engine, as long as its pod lives."""

    name: str
    active: str | None = None
    loaded: set[str] = field(default_factory=set)
    rejects: set[str] = field(default_factory=set)
    """contentDigests that it cannot run."""
    holders: set[str] = field(default_factory=set)
    runs: dict[str, wire.RunTold] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    dumb: bool = False
    """It answers nothing."""
    at_pause: Callable[[], None] = lambda: None
    """What happens when it is told to pause."""


@dataclass(slots=True)
class EngineWorld:
    """All engines, by uid of their pod."""

    processes: dict[str, Process] = field(default_factory=dict)
    tell: Callable[[str, str], None] = lambda _, __: None
    """Called with what an engine was asked to do."""
    resumed: list[str] = field(default_factory=list)
    """Runs that went on, one entry for each time."""
    paused: int = 0
    """How often an engine was asked to pause."""
    slow: set[str] = field(default_factory=set)
    """Runs that come to no safe point."""
    rejects: set[str] = field(default_factory=set)
    """contentDigests that no process can run."""
    mounted: Callable[[str], str] = lambda _: ""
    """The content in the template of a pod, by its uid: what it begins with; empty for none."""
    restarts: bool = True
    """Engines can begin a run anew."""
    fussy: set[str] = field(default_factory=set)
    """Runs whose inputs no other content takes."""
    restarted: list[str] = field(default_factory=list)
    """Runs that began anew, one entry for each time."""

    def engines(self, credentials: Credentials, store: Store) -> "Engines":
        return Engines(self, credentials, store)

    def at(self, pod: EnginePod) -> Process:
        return self.processes.setdefault(pod.uid, Process(pod.name, rejects=set(self.rejects)))


@dataclass(frozen=True, slots=True)
class Engines:
    """As `belay.shell.engine.engines.Engines`."""

    world: EngineWorld
    credentials: Credentials
    store: Store

    async def token(self, namespace: str, how: Engine) -> str | Problem:
        return "token"

    def peer(self, pod: EnginePod, token: str) -> "Peer":
        return Peer(self.world, pod)

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Peer:
    """As `belay.shell.engine.client.Peer`."""

    world: EngineWorld
    pod: EnginePod

    async def info(self) -> wire.Info:
        here = self._here()
        return wire.Info(
            contract="v1",
            engine="fake",
            instance=self.pod.uid,
            holders=sorted(here.holders),
            capabilities=wire.Capabilities(restart=self.world.restarts),
        )

    async def revisions(self) -> wire.Revisions:
        here = self._here()
        serves = self._active(here)
        active = wire.Identity(content_digest=serves) if serves else None
        loaded = [wire.Loaded(content_digest=d, state="Ready") for d in sorted(here.loaded)]
        return wire.Revisions(active=active, revisions=loaded)

    async def runs(self, states: str = "") -> list[wire.RunTold]:
        return [run for _, run in sorted(self._here().runs.items())]

    async def pause_all(self, holder: str) -> None:
        self.world.at(self.pod).at_pause()
        here = self._here()
        self._tell("pauses its runs")
        self.world.paused += 1
        here.holders.add(holder)
        for run in list(here.runs.values()):
            if run.status is RunState.RUNNING and run.holder is None:
                still = RunState.PAUSING if run.id in self.world.slow else RunState.PAUSED
                here.runs[run.id] = run.model_copy(update={"status": still, "holder": holder})

    async def envelope(self, run: str) -> wire.Envelope:
        found = self._here().runs[run]
        body = {"runId": run, "contentDigest": found.content_digest, "state": f"of {run}"}
        digest = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
        return wire.envelope({**body, "sha256": f"sha256:{digest}"}, run)

    async def resume(self, holder: str, what: Mapping[str, Any]) -> wire.Resumed:
        here = self._here()
        if "envelope" in what:
            return self._claimed(here, what["envelope"], anew=what.get("how") == "Restart")
        run = here.runs.get(str(what["id"]))
        if run is None or run.status not in (RunState.PAUSED, RunState.PAUSING):
            raise EngineError(self.pod.name, "not paused", "notPaused")
        if what.get("how") == "Restart":
            return self._begins_anew(here, run.id)
        return self._goes_on(here, run.id, run.content_digest)

    def _begins_anew(self, here: Process, run: str) -> wire.Resumed:
        digest = self._active(here)
        if run in self.world.fussy:
            raise EngineError(self.pod.name, "restartRejected: age is required", "restartRejected")
        assert digest, "nothing is active here"
        self._tell(f"begins {run} anew")
        self.world.restarted.append(run)
        state = RunState.RUNNING
        here.runs[run] = wire.RunTold(id=run, content_digest=digest, status=state, holder=None)
        return wire.Resumed(id=run, state=state)

    def _active(self, here: Process) -> str:
        return here.active or self.world.mounted(self.pod.uid)

    def _claimed(self, here: Process, envelope: Mapping[str, Any], *, anew: bool) -> wire.Resumed:
        run, digest = envelope["runId"], envelope["contentDigest"]
        if here.claims.get(run) == envelope["sha256"]:
            return wire.Resumed(id=run, state=here.runs[run].status)
        if anew:
            answer = self._begins_anew(here, run)
            here.claims[run] = envelope["sha256"]
            return answer
        if digest not in here.loaded:
            raise EngineError(self.pod.name, "its content is not here", "revisionMismatch")
        here.claims[run] = envelope["sha256"]
        return self._goes_on(here, run, digest)

    def _goes_on(self, here: Process, run: str, digest: str) -> wire.Resumed:
        self._tell(f"resumes {run}")
        self.world.resumed.append(run)
        state = RunState.RUNNING
        here.runs[run] = wire.RunTold(id=run, content_digest=digest, status=state, holder=None)
        return wire.Resumed(id=run, state=state)

    async def abort(self, run: str, reason: str) -> None:
        here = self._here()
        self._tell(f"aborts {run}")
        here.runs[run] = here.runs[run].model_copy(update={"status": RunState.STOPPED})

    async def open_intake(self, holder: str) -> None:
        self._here().holders.discard(holder)
        self._tell("opens intake")

    async def validate(self, definition: Mapping[str, Any]) -> wire.Verdict:
        here, digest = self._here(), str(definition["contentDigest"])
        self._tell(f"validates {digest[:15]}")
        text = str(definition["definition"])
        assert f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == digest
        if digest in here.rejects:
            return wire.Verdict(valid=False, reasons=["node 4 is of an unknown type"])
        here.loaded.add(digest)
        return wire.Verdict(valid=True)

    async def activate(self, content_digest: str, if_active: str | None) -> None:
        here = self._here()
        if here.active not in (if_active, content_digest):
            raise EngineError(self.pod.name, "another one is active", "activeDiffers")
        assert content_digest in here.loaded, json.dumps(sorted(here.loaded))
        self._tell(f"activates {content_digest[:15]}")
        here.active = content_digest

    def _here(self) -> Process:
        here = self.world.at(self.pod)
        if here.dumb:
            raise NoAnswer(self.pod.name, "no answer within 10 s")
        return here

    def _tell(self, what: str) -> None:
        self.world.tell("engine", f"{self.pod.name} {what}")
