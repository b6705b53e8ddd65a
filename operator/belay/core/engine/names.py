"""Names of what is kept of runs: a record, and a backup of the same name."""

from belay.api.status import Rollout


def next_runs(workflow: str, uid: str, rollout: Rollout) -> str:
    """The name for one more pause in this rollout: what a former pause kept is not touched.

    Nor what a deleted Workflow of the same name has left, whose rollouts had the same ids.
    """
    stem = f"{workflow}-runs-{uid[:8]}-{rollout.id}"
    last = rollout.runs or ""
    number = last.removeprefix(f"{stem}-")
    return f"{stem}-{int(number) + 1 if number != last else 1}"


def rollout_of(workflow: str, name: str) -> str | None:
    """Id of the rollout that a name belongs to; None where it is not of this Workflow."""
    rest = name.removeprefix(f"{workflow}-runs-")
    uid, *numbers = rest.rsplit("-", 3)
    if rest == name or not uid or len(numbers) != 3 or not all(n.isdigit() for n in numbers):
        return None
    return f"{numbers[0]}-{numbers[1]}"


def label_of(workflow: str, name: str) -> str:
    """A backup's name without that of its Workflow: the value of a label ends at 63 characters."""
    return name.removeprefix(f"{workflow}-")


def named_by(workflow: str, label: str) -> str:
    """The name of the backup with this label."""
    return f"{workflow}-{label}"
