"""What is told: v1, v2, a v3 that is broken, the same once more, Git's insistence, and the cure."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from tests.harness.demo.setting import SAMPLE, TRIAGE
from tests.harness.demo.stage import Rolled, Stage, StoryError

from belay.api.words import Outcome, Reason

_REAPPLIES = 20
BY_V3 = "failed: 'None' has no attribute 'name'"
"""What v3 makes of a ticket about billing."""
_FIRST_WINDOW, _WINDOW = "1s", "20s"


@dataclass(slots=True)
class Told:
    """What the steps have measured."""

    bare: float = 0.0
    """Seconds of a bare rollout of the pods that Belay left, the delivered content mounted."""
    steps: dict[str, Rolled] = field(default_factory=dict)
    reapplied: str = ""
    account: str = ""


def tell(stage: Stage, folder: Path) -> Told:
    """Play the whole story. `folder` takes the manifests that a person would have in Git."""
    told = Told()
    for step in (_first, _second, _broken, _broken_live):
        step(stage, told, folder)
    _account(stage, told)
    _insist(stage, told, folder)
    _heal(stage, told)
    _bare(stage, told)
    return told


def _first(stage: Stage, told: Told, folder: Path) -> None:
    stage.screen.title(f"v1 becomes active (its window: {_FIRST_WINDOW}; from then on {_WINDOW})")
    file = _manifest(folder / "triage.yaml", "v1", window=_FIRST_WINDOW, preview="None")
    done = stage.roll(f"kubectl -n {stage.namespace} apply -f {file}")
    _expect(done, Outcome.PROMOTED)
    told.steps["v1"] = done
    stage.client.start()
    stage.runs.undisturbed()
    stage.runs.start()
    stage.patch({"verification": {"window": _WINDOW, "preview": "Pod"}})


def _second(stage: Stage, told: Told, _: Path) -> None:
    stage.screen.title("v1 -> v2: a kinder reply, while runs stand in the middle of a slow call")
    told.steps["v2"] = done = stage.roll({"activeRevision": "v2"})
    _expect(done, Outcome.PROMOTED)
    _moved(stage, done)
    stage.runs.undisturbed()


def _broken(stage: Stage, told: Told, _: Path) -> None:
    stage.screen.title("v2 -> v3: a template names a variable that no node produces")
    before = stage.pods()
    told.steps["v3"] = done = stage.roll({"activeRevision": "v3"})
    _expect(done, Outcome.REVERTED)
    _untouched(stage, before)


def _broken_live(stage: Stage, told: Told, _: Path) -> None:
    stage.screen.title("v3 once more, without the preview: another attempt, so it is tried")
    done = stage.roll({"activeRevision": "v3", "verification": {"preview": "None"}})
    told.steps["v3 live"] = done
    _expect(done, Outcome.REVERTED, own=BY_V3)
    _moved(stage, done)
    if wrong := done.requests.failed:
        stage.screen.say(f"  {wrong.total()} of them met v3 before its gate: {BY_V3}", "yellow")


def _account(stage: Stage, told: Told) -> None:
    stage.screen.title("The account of the long runs, some of which were always in flight")
    with stage.screen.moving(lambda: f"{stage.runs.in_flight} are still in flight"):
        found = stage.runs.settle()
    first, second, third = (stage.content(name) for name in ("v1", "v2", "v3"))
    broken = [e for e in found.other.values() if (e.content, e.came) == (third, BY_V3)]
    if found.lost or len(broken) < len(found.other):
        raise StoryError(f"runs went wrong: {found}")
    told.account = (
        f"{found.begun} begun, {found.right.total()} finished with the outputs of an undisturbed "
        f"run, {len(found.lost)} lost"
    )
    if broken:
        told.account += f"; {len(broken)} began on v3 and failed by it"
    by_revision = f"{found.right[first]} on v1, {found.right[second]} on v2"
    stage.screen.row("accounted for", f"{told.account} ({by_revision})")


def _insist(stage: Stage, told: Told, folder: Path) -> None:
    stage.screen.title(f"GitOps insists: the manifest that wants v3 is applied {_REAPPLIES} times")
    file = _manifest(folder / "triage-v3.yaml", "v3", window=_WINDOW, preview="None")
    line = f"kubectl -n {stage.namespace} apply -f {file}"
    stage.typed(line)
    audit = stage.cluster.audit()
    begin = audit.mark() if audit else 0
    version, pods = _version(stage), stage.pods()
    for _ in range(_REAPPLIES):
        stage.cluster.kubectl(*line.split()[1:])
    writes = stage.writes(begin)
    same = _version(stage) == version
    if not same or writes or stage.pods() != pods:
        raise StoryError(f"{_REAPPLIES} re-applies of v3 changed something: {spoken(writes)}")
    told.reapplied = f"resourceVersion {version} as before" + (
        f", {spoken(writes)} by Belay" if writes is not None else ""
    )
    stage.screen.row(f"{_REAPPLIES} re-applies", f"{told.reapplied}, the same pods")


def _heal(stage: Stage, told: Told) -> None:
    stage.screen.title("v4 has the content of v2 (only its nodes were moved): git revert heals")
    before = stage.pods()
    told.steps["v4"] = done = stage.roll({"activeRevision": "v4"})
    if (done.outcome, done.reason) != (Outcome.PROMOTED, Reason.SAME_CONTENT):
        raise StoryError(
            f"v4 ended {done.outcome} ({done.reason}), not adopted as the same content"
        )
    _untouched(stage, before)


def _bare(stage: Stage, told: Told) -> None:
    stage.screen.title("For comparison: the same Deployment rolls without Belay")
    told.bare = stage.bare_rollout(
        f"kubectl -n {stage.namespace} rollout restart deployment triage"
    )


def publish(stage: Stage) -> None:
    """Import the four revisions."""
    stage.screen.title("Four revisions of a Dify workflow are published")
    importing: tuple[Callable[[], None], ...] = (
        lambda: stage.snapshot(TRIAGE / "v1.yml", "first version"),
        lambda: stage.snapshot(TRIAGE / "v2.yml", "a kinder reply about billing"),
        lambda: stage.snapshot(TRIAGE / "v3.yml", "greet the customer by name"),
        lambda: stage.snapshot(TRIAGE / "v4.yml", "back to v2", "--revision", "v4"),
    )
    for each in importing:
        each()


def spoken(writes: Counter[str] | None) -> str:
    """`4 writes: 3 patch workflows/status, 1 create events`."""
    if writes is None:
        return "not counted (no audit log)"
    each = ", ".join(f"{count} {what}" for what, count in writes.most_common())
    return f"{writes.total()} writes" + (f": {each}" if each else "")


def _expect(done: Rolled, outcome: Outcome, own: str | None = None) -> None:
    """`own`: how the revision itself fails the requests that reach it."""
    if done.outcome != outcome:
        raise StoryError(f"the rollout ended {done.outcome} ({done.reason}), not {outcome}")
    wrong = {came: count for came, count in done.requests.failed.items() if came != own}
    if wrong:
        raise StoryError(f"{sum(wrong.values())} requests failed, not 0: {wrong}")


def _moved(stage: Stage, done: Rolled) -> None:
    """Runs were in flight, and all of them were let go again."""
    count = done.instances
    paused = count.get("paused", 0)
    gone_on = count.get("resumed", 0) + count.get("restarted", 0)
    if not paused or gone_on != paused or count.get("lost"):
        raise StoryError(f"not all runs were paused and let go: {count}")


def _untouched(stage: Stage, before: set[str]) -> None:
    if stage.pods() != before:
        raise StoryError("pods were replaced, although nothing live should have been touched")
    stage.screen.say(f"  the same {len(before)} pods serve on")


def _version(stage: Stage) -> str:
    return str(stage.workflow()["metadata"]["resourceVersion"])


def _manifest(path: Path, revision: str, **verification: str) -> Path:
    """The sample's Workflow, as it would stand in Git."""
    body = yaml.safe_load((SAMPLE / "workflow.yaml").read_text())
    body["spec"]["activeRevision"] = revision
    body["spec"]["verification"].update(verification)
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path
