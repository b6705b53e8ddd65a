"""What one pass knows of running instances."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import Afterwards, InstanceResource, Policy
from belay.api.names import LABEL_PAUSED_AGAIN, LABEL_PAUSED_BY
from belay.api.words import Reason


class Look(Enum):
    """Which instances a pass needs to know."""

    NONE = auto()
    WANTED = auto()
    """Those that the spec selects, and those that are paused for the Workflow."""
    HELD = auto()
    """Those that are paused for the Workflow."""


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance."""

    kind: InstanceKind
    name: str
    uid: str
    policy: Policy
    afterwards: Afterwards = Afterwards.RESUME
    holder: str = ""
    """UID of the Workflow that it is paused for, by its label."""
    again: str = ""
    """Rollout that paused it once more, after somebody else had resumed it."""
    suspended: bool = False
    """The field says so."""
    stands: bool = False
    """Nothing of it runs any more."""
    finished: bool = False
    version: str = ""
    """Its resourceVersion, as it was read."""

    @property
    def told(self) -> str:
        return f"{self.kind.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A kind that the spec names, and why its instances could not be looked for."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Instances:
    """All instances that were looked for: a view over every part that can hold some."""

    owner: str
    """UID of the Workflow."""
    rollout: str
    """Id of the rollout under way; empty where there is none."""
    resources: tuple[InstanceView, ...] = ()
    unseen: tuple[Unseen, ...] = ()

    @property
    def running(self) -> tuple[InstanceView, ...]:
        """Those that are not finished."""
        return tuple(i for i in self.resources if not i.finished)

    @property
    def held(self) -> tuple[InstanceView, ...]:
        """Those that carry the label of this Workflow, whatever their state."""
        return tuple(i for i in self.resources if i.holder == self.owner)

    @property
    def to_pause(self) -> tuple[InstanceView, ...]:
        """Those to be paused now; what somebody else resumed again, once more at most."""
        return tuple(i for i in self.running if self._is_due(i))

    @property
    def contested(self) -> tuple[InstanceView, ...]:
        """Those that somebody else resumed even after they had been paused once more."""
        return tuple(
            i
            for i in self.running
            if i.holder == self.owner and not i.suspended and i.again == self.rollout
        )

    @property
    def pending(self) -> tuple[InstanceView, ...]:
        """Those that were asked to pause, and do not stand still yet."""
        ours = (i for i in self.running if i.holder == self.owner)
        return tuple(i for i in ours if i.suspended and not i.stands)

    @property
    def paused(self) -> tuple[InstanceView, ...]:
        """Those that stand still for this Workflow."""
        ours = (i for i in self.running if i.holder == self.owner)
        return tuple(i for i in ours if i.suspended and i.stands)

    @property
    def pinned(self) -> tuple[InstanceView, ...]:
        """Those that go on by policy."""
        left = (i for i in self.running if i.holder != self.owner and not i.suspended)
        return tuple(i for i in left if i.policy is Policy.PIN)

    @property
    def already_suspended(self) -> tuple[InstanceView, ...]:
        """Those that somebody else had suspended: not ours."""
        return tuple(i for i in self.running if i.holder != self.owner and i.suspended)

    def _is_due(self, one: InstanceView) -> bool:
        if one.suspended:
            return False
        if one.holder == self.owner:
            return one.again != self.rollout
        return one.policy is Policy.PAUSE and not one.holder


def read_instance(
    kind: InstanceKind,
    raw: Mapping[str, Any],
    wanted: InstanceResource | None,
    active: Collection[str],
) -> InstanceView:
    """One object. `active` names the instances of this kind that still have pods.

    `wanted` is None for one that is paused for the Workflow and not selected any more.
    """
    metadata = raw["metadata"]
    labels = metadata.get("labels") or {}
    suspended = at(raw, kind.path) == kind.paused_value
    policy = policy_of(kind, wanted)
    return InstanceView(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        policy=policy,
        afterwards=wanted.afterwards if wanted is not None else Afterwards.RESUME,
        holder=labels.get(LABEL_PAUSED_BY, ""),
        again=labels.get(LABEL_PAUSED_AGAIN, ""),
        suspended=suspended,
        stands=suspended and _says_so(kind, raw) and metadata["name"] not in active,
        finished=is_finished(kind, raw),
        version=str(metadata.get("resourceVersion", "")),
    )


def policy_of(kind: InstanceKind, wanted: InstanceResource | None) -> Policy:
    return kind.default if wanted is None or wanted.policy is None else wanted.policy


def _says_so(kind: InstanceKind, raw: Mapping[str, Any]) -> bool:
    rule = kind.stands
    return (
        all(_is_true(raw, name) for name in rule.conditions)
        and not any(_is_true(raw, name) for name in rule.without)
        and (rule.path is None or at(raw, rule.path) in rule.values)
    )


def is_finished(kind: InstanceKind, raw: Mapping[str, Any]) -> bool:
    """Whether it has ended, or is about to be deleted."""
    if "deletionTimestamp" in raw["metadata"]:
        return True
    rule = kind.finished
    if any(_is_true(raw, name) for name in rule.conditions):
        return True
    return rule.path is not None and at(raw, rule.path) in rule.values


def at(raw: Mapping[str, Any], path: str) -> Any:
    """The value of a field; None where there is none."""
    found: Any = raw
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _is_true(raw: Mapping[str, Any], condition: str) -> bool:
    conditions = (raw.get("status") or {}).get("conditions") or []
    return any(c.get("type") == condition and c.get("status") == "True" for c in conditions)
