"""The account of each instance, kept outside the status: there may be thousands."""

from datetime import datetime

from belay.core.decision import AccountFor
from belay.core.instances.view import Instances, InstanceView
from belay.core.observed import Observed

Line = dict[str, str]
NAME = "{}-instances-{}"


def at_pausing(seen: Observed, now: datetime, found: Instances) -> AccountFor:
    """What was found, and how far it paused."""
    groups = {
        "paused": found.paused,
        "pinned": found.pinned,
        "alreadySuspended": found.already_suspended,
        "contested": found.contested,
        "notPaused": (*found.pending, *found.to_pause),
    }
    lines = [_line(one, word, now) for word, some in groups.items() for one in some]
    return _account(seen, "pausing", lines)


def at_resuming(
    seen: Observed, now: datetime, held: tuple[InstanceView, ...], cancelled: frozenset[str]
) -> AccountFor:
    """What becomes of those that are paused."""
    return _account(
        seen, "resuming", [_line(one, fate(one, one.uid in cancelled), now) for one in held]
    )


def fate(one: InstanceView, cancelled: bool) -> str:
    """What letting go does to one that is held."""
    if cancelled:
        return "cancelled"
    if not one.suspended:
        return "contested"
    return "restarted" if one.kind.restarts else "resumed"


def _account(seen: Observed, stage: str, lines: list[Line]) -> AccountFor:
    rollout = seen.status.rollout
    ids = [h.id for h in seen.status.history]
    mine = rollout.id if rollout is not None else ""
    workflow = seen.key.name
    return AccountFor(
        workflow=workflow,
        uid=seen.uid,
        name=NAME.format(workflow, mine),
        stage=stage,
        lines=tuple(lines),
        kept=frozenset(NAME.format(workflow, one) for one in [mine, *ids]),
    )


def _line(one: InstanceView, result: str, now: datetime) -> Line:
    return {
        "kind": one.kind.kind,
        "name": one.name,
        "uid": one.uid,
        "result": result,
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
