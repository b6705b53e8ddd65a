"""A rollout on the screen, phase by phase, with the times that its status holds."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.harness.demo.screen import Screen

from belay.api.words import Outcome, Phase, Verdict

Object = dict[str, Any]

_WORDS: dict[str, str] = {
    Phase.PREVIEWING: "tried aside",
    Phase.PAUSING: "paused",
    Phase.BACKING_UP: "backed up",
    Phase.DELIVERING: "delivered",
    Phase.VERIFYING: "gate",
    Phase.RESUMING: "resumed",
    Phase.OBSERVING: "observed",
    Phase.REVERTING: "put back",
}
_ENDS = frozenset(Outcome)


def when(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


@dataclass(slots=True)
class Timeline:
    """Fed with the states of a Workflow, it tells what is new in them.

    `patched`: when the wish was typed. `after`: the generation before that.
    """

    screen: Screen
    patched: datetime
    after: int
    record: Object = field(default_factory=dict)
    """The rollout as it was seen last."""
    adopted: bool = False
    """The wish was fulfilled without a rollout."""
    failed_at: str = ""
    """When live pods were found wrong: from then on it goes back."""

    def see(self, workflow: Object) -> bool:
        """Tell what is new; whether the wish is answered for good."""
        generation = workflow["metadata"]["generation"]
        status = workflow.get("status") or {}
        if generation <= self.after or status.get("observedGeneration", 0) < generation:
            return False
        record = status.get("rollout") or {}
        if record.get("id", "").partition("-")[0] != str(generation):
            self.adopted = status.get("phase") in _ENDS
            return self.adopted
        if self.record and self.record["phase"] != record["phase"]:
            self._passed(self.record, record)
        self.record = record
        if "outcome" in record:
            self._ended(record)
            return True
        return False

    def now(self) -> str:
        """The moving line: what goes on, and for how long."""
        if not self.record:
            return f"gating, {self._since(datetime.now(UTC)):.1f} s"
        since = (datetime.now(UTC) - when(self.record["phaseStartedAt"])).total_seconds()
        return f"{self.record['phase']} for {since:.1f} s"

    def seconds(self, member: str) -> float | None:
        """Seconds from the patch to a time in the record; None where that never came."""
        return self._since(when(self.record[member])) if member in self.record else None

    @property
    def put_back(self) -> float | None:
        """Seconds that a revert took, from its decision to its end; None without one."""
        if self.adopted or not self.failed_at:
            return None
        return (when(self.record["endedAt"]) - when(self.failed_at)).total_seconds()

    def _since(self, moment: datetime) -> float:
        return (moment - self.patched).total_seconds()

    def _passed(self, old: Object, new: Object) -> None:
        """One phase is over, and the next one has begun."""
        mark = "Active" if "activatedAt" in new and "activatedAt" not in old else ""
        detail = _detail(old, new)
        if "reason" in new and not self.failed_at and old.get("delivered"):
            self.failed_at = new["phaseStartedAt"]
            mark, detail = new["reason"], _why(new)
        self._row(old, when(new["phaseStartedAt"]), detail, mark)

    def _ended(self, record: Object) -> None:
        good = record["outcome"] == Outcome.PROMOTED or bool(self.failed_at)
        detail = _detail(record, record) if good else _why(record)
        self._row(record, when(record["endedAt"]), detail, record["outcome"])

    def _row(self, record: Object, ended: datetime, detail: str, mark: str) -> None:
        took = (ended - when(record["phaseStartedAt"])).total_seconds()
        word = _WORDS.get(record["phase"], str(record["phase"]))
        self.screen.row(word, f"{took:5.2f} s  {detail}", self._since(ended), mark)


def _why(record: Object) -> str:
    """Why a phase did not go well; the whole story is in the event."""
    failed = [each for each in record.get("evidence") or [] if each["verdict"] == Verdict.FAIL]
    if not failed:
        return str(record.get("message") or record.get("reason", ""))
    one = failed[0]
    return f"{one['check']}: got {one['got']}, {one['fails']} of {one['tries']} times"


def _detail(old: Object, new: Object) -> str:
    """What a phase that went well has shown."""
    workloads = ", ".join(f"{each['kind']} {each['name']}" for each in old.get("targets") or [])
    count = new.get("instances") or {}
    match old["phase"]:
        case Phase.PREVIEWING:
            return "a preview pod passed the checks"
        case Phase.PAUSING:
            return _runs(count, "paused", "stand still, each at the end of a node")
        case Phase.BACKING_UP:
            return "what they have done is stored, read back and compared"
        case Phase.DELIVERING:
            return f"{workloads} carries {old['to']['revision']}"
        case Phase.VERIFYING:
            return "all its pods passed the checks"
        case Phase.REVERTING:
            return f"{workloads} carries {old['from']} again"
        case Phase.RESUMING:
            anew = f", {count['restarted']} begin anew" if count.get("restarted") else ""
            return _runs(count, "resumed", "go on, on what they began with") + anew
        case _:
            return str(new.get("message", ""))


def _runs(count: Object, word: str, what: str) -> str:
    return f"{count[word]} runs {what}" if count.get(word) else "no run was in flight"
