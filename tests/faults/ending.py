"""How a plan ended, read from the real API, and what must hold of it."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.plans import REFUSALS, Plan
from tests.faults.proxy import STATUS, Proxy
from tests.faults.scenarios import FLOW, Place, Scenario

from belay.api.names import ANNOTATION_REVISION, LABEL_PAUSED_BY, LABEL_PREVIEW, LABEL_WORKFLOW
from belay.api.words import Outcome
from belay.shell.errors import NotFound
from belay.shell.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    REVISIONS,
    WORKFLOWS,
)

Object = dict[str, Any]
MORE_WRITES = 4
"""What one fault may cost: the call again, and what a new process cannot know of."""
TRIED_AGAIN = 2
"""What the server's final word may cost besides: a status and an event that tell of it."""
MORE_STATUSES, MORE_DELIVERIES = 2, 1
_MAY_COME_LATE = (f"Pod {FLOW}-preview-", f"ConfigMap {FLOW}-")
_EXPLAINED = frozenset({"Reverted", "Held", "Failed", "Refused", "RevertFailed"})


@dataclass(frozen=True, slots=True)
class Ending:
    """The same for every disturbance that is not the server's final word."""

    phase: str
    active: str
    stable: str
    conditions: tuple[tuple[str, str, str], ...]
    quarantined: tuple[str, ...]
    history: tuple[tuple[str, str, str | None], ...]
    runs: str | None
    previews: tuple[str, ...]
    contents: tuple[str, ...]
    suspended: tuple[str, ...]
    """Jobs and CronJobs that are, or carry our label."""
    engine: tuple[str, ...] = ()
    """Runs in the target's pods, and whether new ones may begin."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that is there at the end."""

    ending: Ending
    events: Counter[str]
    """Names of the events without the Workflow's."""
    revisions: frozenset[tuple[str, str, int]]
    messages: tuple[str, ...]
    written: Counter[str]
    template_writes: int
    """Generations of the Deployment."""
    phases: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    watched: int = 0
    writes_at_rest: tuple[str, ...] = field(default=())


async def versions(place: Place) -> dict[str, str]:
    """What tells whether anything in the namespace was changed since."""
    found = {}
    for kind in (WORKFLOWS, REVISIONS, DEPLOYMENTS, CONFIG_MAPS, PODS, EVENTS, JOBS, CRON_JOBS):
        for one in await place.api.list(kind, place.namespace):
            name = f"{kind.kind} {one['metadata']['name']}"
            found[name] = one["metadata"]["resourceVersion"]
    return found


async def late_changes(place: Place, proxy: Proxy) -> AsyncIterator[str]:
    """What the call that was held back changes, now that others have gone on.

    No server can refuse that what is gone is created: a preview pod then ends by its own deadline,
    and a ConfigMap stays until the look for unused ones.
    """
    if not proxy.holds_back:
        return
    before = await versions(place)
    said = await proxy.let_late_through()
    after = await versions(place)
    for name in sorted(before.keys() | after.keys()):
        made_anew = name not in before and name.startswith(_MAY_COME_LATE)
        if before.get(name) != after.get(name) and not made_anew:
            yield f"a late write changed {name}: {said}"


async def read(place: Place, *proxies: Proxy, engine: bool = False) -> Found:
    """Read all of it, by the administrator; with `engine`, runs and Jobs, too."""
    api, namespace = place.api, place.namespace
    status = place.workflow.get("status") or {}
    deployment = await _target(place)
    template = deployment["spec"]["template"]
    pods = await api.list(PODS, namespace, labels=LABEL_PREVIEW)
    maps = await api.list(CONFIG_MAPS, namespace, labels=f"{LABEL_WORKFLOW}={FLOW}")
    revisions = await api.list(REVISIONS, namespace)
    told = await api.list(EVENTS, namespace)
    schedules = await api.list(CRON_JOBS, namespace)
    if engine:
        schedules += await api.list(JOBS, namespace)
    conditions = status.get("conditions") or []
    ending = Ending(
        phase=status.get("phase", ""),
        active=status.get("activeRevision", ""),
        stable=status.get("stableRevision", ""),
        conditions=tuple(sorted((c["type"], c["status"], c["reason"]) for c in conditions)),
        quarantined=tuple(q["revision"] for q in status.get("quarantine") or []),
        history=tuple(
            (h["revision"], h["outcome"], h.get("reason")) for h in status.get("history") or []
        ),
        runs=(template["metadata"].get("annotations") or {}).get(ANNOTATION_REVISION),
        previews=tuple(p["metadata"]["name"] for p in pods),
        contents=tuple(sorted(m["metadata"]["name"] for m in maps)),
        suspended=tuple(o["metadata"]["name"] for o in schedules if _is_held(o)),
        engine=await _engine(place) if engine else (),
    )
    return Found(
        ending,
        Counter(e["metadata"]["name"].split(".", 2)[2] for e in told),
        frozenset(
            (r["metadata"]["name"], r["metadata"]["uid"], r["metadata"]["generation"])
            for r in revisions
        ),
        tuple(c.get("message", "") for c in conditions if c["type"] in ("Ready", "Stalled")),
        Counter(write for proxy in proxies for write in proxy.written),
        deployment["metadata"]["generation"],
        tuple(dict.fromkeys(phase for proxy in proxies for phase in proxy.phases)),
        tuple(call for proxy in proxies for call in proxy.calls),
        sum(proxy.events for proxy in proxies),
    )


async def _target(place: Place) -> Object:
    """An empty one where it was deleted."""
    try:
        return await place.api.get(DEPLOYMENTS, place.namespace, "app")
    except NotFound:
        return {"metadata": {"generation": 0}, "spec": {"template": {"metadata": {}}}}


async def _engine(place: Place) -> tuple[str, ...]:
    pods = await place.api.list(PODS, place.namespace)
    return place.standin.engines.told([p["metadata"]["uid"] for p in pods], place.namespace)


def _is_held(found: Object) -> bool:
    labels = found["metadata"].get("labels") or {}
    return bool(found["spec"].get("suspend")) or LABEL_PAUSED_BY in labels


def is_right(plan: Plan, found: Found, base: Found) -> bool:
    """The same ending, told by the same events, and by those of a refusal that was passed."""
    told = found.events == base.events or (plan.fault in REFUSALS and found.events > base.events)
    return told and _same(found.ending, base.ending)


def _same(end: Ending, right: Ending) -> bool:
    """What no longer is needed may be left for a later look, which comes within minutes."""
    contents = tuple(sorted({*end.contents} | {*right.contents}))
    return replace(right, contents=contents) == end


def violations(plan: Plan, scenario: Scenario, found: Found, base: Found | None) -> Iterator[str]:
    """What does not hold."""
    end = found.ending
    if found.writes_at_rest:
        yield f"writes at rest: {', '.join(found.writes_at_rest)}"
    if end.previews:
        yield f"preview pods are left: {', '.join(end.previews)}"
    if end.suspended != scenario.suspended:
        yield f"suspended in the end: {end.suspended} instead of {scenario.suspended}"
    if end.engine not in _let_go(plan, scenario) and (scenario.phase or not base):
        yield f"runs in the end: {end.engine} instead of {scenario.engine}"
    if base is None:
        if (end.phase, end.runs) != (scenario.phase, scenario.runs):
            yield f"ends {end.phase} with {end.runs}"
        return
    if {r[0::2] for r in found.revisions} != {r[0::2] for r in base.revisions}:
        yield f"revisions changed: {sorted(found.revisions)}"
    if plan.fault in REFUSALS and not _same(end, base.ending):
        if scenario.phase:
            yield from _explained(found, base)
        return
    yield from _another(end, base.ending, deleted=not scenario.phase)
    yield from _told(found, base, may_lose=may_lose(plan, scenario))
    yield from _budget(plan, found, base)


def _let_go(plan: Plan, scenario: Scenario) -> Iterator[tuple[str, ...]]:
    """How runs may be found: a rollout that the server refuses at the start pauses none."""
    yield scenario.engine
    if plan.fault in REFUSALS:
        yield tuple(told.replace("resumed 1 times", "resumed 0 times") for told in scenario.engine)


def _another(end: Ending, right: Ending, *, deleted: bool) -> Iterator[str]:
    """Where it differs; what is no longer needed may wait for a later look at it.

    A deletion may come before the content of what was wished for.
    """
    if set(right.contents) - set(end.contents) and not deleted:
        yield f"contents: {end.contents} instead of {right.contents}"
    for name in Ending.__slots__:
        if name != "contents" and getattr(end, name) != getattr(right, name):
            yield f"{name}: {getattr(end, name)} instead of {getattr(right, name)}"


def may_lose(plan: Plan, scenario: Scenario) -> bool:
    """Whether one event may never come: the server refuses it, or the Workflow is gone before."""
    return plan.fault in REFUSALS or not scenario.phase


def _told(found: Found, base: Found, *, may_lose: bool) -> Iterator[str]:
    """One event per milestone."""
    missing = list((base.events - found.events).elements())
    more = list((found.events - base.events).elements())
    if missing and not (may_lose and len(missing) == 1):
        yield f"events that were not told: {', '.join(missing)}"
    if more and not may_lose:
        yield f"events too many: {', '.join(more)}"


def _budget(plan: Plan, found: Found, base: Found) -> Iterator[str]:
    more = found.written.total() - base.written.total()
    refused = plan.fault in REFUSALS
    if more > MORE_WRITES + TRIED_AGAIN * refused:
        told = ", ".join((found.events - base.events).elements())
        written = dict(found.written - base.written)
        yield f"{more} writes more than undisturbed: {written}, events more: {told}"
    for kind, most in (
        (STATUS, MORE_STATUSES + refused),
        ("PATCH deployments", MORE_DELIVERIES),
    ):
        extra = found.written[kind] - base.written[kind]
        if extra > most:
            yield f"{extra} times {kind} more than undisturbed"


def _explained(found: Found, base: Found) -> Iterator[str]:
    """The server said no: another end is right, if it tells so and nothing is left behind."""
    end = found.ending
    if _only_another_story(end, base.ending):
        return
    conditions = {kind: (status, reason) for kind, status, reason in end.conditions}
    if end.phase not in _EXPLAINED:
        yield f"refused, and ends {end.phase or 'without a phase'}: {end.conditions}"
    if conditions.get("Ready", ("", ""))[0] != "False" or "Stalled" not in conditions:
        yield f"refused, and not stopped: {end.conditions}"
    if not all(found.messages):
        yield "refused, and nothing says why"
    if set(end.quarantined) - set(base.ending.quarantined):
        yield f"the server's word is held against {end.quarantined}"
    if end.phase != Outcome.REVERT_FAILED and end.active and end.runs not in (None, end.active):
        yield f"{end.runs} runs, {end.active} is active"


def unsettled(found: Found, base: Found) -> Iterator[str]:
    """What does not hold where the world is another one, so that another end may be right."""
    end = found.ending
    ready = next((status for kind, status, _ in end.conditions if kind == "Ready"), "")
    stalled = any(kind == "Stalled" for kind, _, _ in end.conditions)
    if found.writes_at_rest:
        yield f"writes at rest: {', '.join(found.writes_at_rest)}"
    if end.previews:
        yield f"preview pods are left: {', '.join(end.previews)}"
    if not end.phase and not base.ending.phase:
        return
    if end.phase not in _EXPLAINED | {Outcome.PROMOTED}:
        yield f"ends {end.phase or 'without a phase'}: {end.conditions}"
    if ready != "True" and not (stalled and all(found.messages)):
        yield f"not ready, and nothing says why: {end.conditions}"
    if end.runs not in (None, end.active) or (ready == "True" and end.runs is None):
        yield f"{end.runs} runs, {end.active} is active"
    if set(end.quarantined) - set(base.ending.quarantined):
        yield f"the world is held against {end.quarantined}"


def _only_another_story(end: Ending, right: Ending) -> bool:
    """The last wish came true; it was a rollout before it that the server's word has stopped."""
    outcomes = {outcome for _, outcome, _ in end.history}
    known = _EXPLAINED | {outcome for _, outcome, _ in right.history}
    return (
        replace(end, history=right.history, contents=right.contents) == right and outcomes <= known
    )
