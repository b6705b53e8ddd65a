"""Names of what is kept of runs: a record, and a backup of the same name."""

from belay.api.status import Rollout


def next_runs(workflow: str, rollout: Rollout) -> str:
    """The name for one more pause in this rollout: what a former pause kept is not touched."""
    stem = f"{workflow}-runs-{rollout.id}"
    last = rollout.runs or ""
    number = last.removeprefix(f"{stem}-")
    return f"{stem}-{int(number) + 1 if number != last else 1}"


def rollout_of(workflow: str, name: str) -> str | None:
    """Id of the rollout that a name belongs to; None where it is not of this Workflow."""
    rest = name.removeprefix(f"{workflow}-runs-")
    generation, _, numbers = rest.partition("-")
    n, _, pause = numbers.partition("-")
    if rest == name or not (generation.isdigit() and n.isdigit() and pause.isdigit()):
        return None
    return f"{generation}-{n}"
