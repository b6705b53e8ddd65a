"""The runs of this process, and who has closed its intake. One lock for all of it."""

import threading

from belay_runner.problems import Code, Problem
from belay_runner.progress import State
from belay_runner.run import Run

AT_WORK = (State.RUNNING, State.PAUSING)


class Runs:
    """What the parts that change runs share. `lock` is held for each change, and never for long."""

    def __init__(self, most: int, keep_finished: int) -> None:
        self._most, self._keep_finished = most, keep_finished
        self.lock = threading.RLock()
        self.known: dict[str, Run] = {}
        self.handed_over: dict[str, str] = {}
        """Run id -> sha256 of the envelope that left."""
        self.closed_by: set[str] = set()
        self.ending = False

    def add(self, run: Run) -> None:
        """Raises `full`. The oldest of those that are over are forgotten."""
        working = sum(each.state in AT_WORK for each in self.known.values())
        if working >= self._most:
            raise Problem(Code.FULL, f"{working} runs are at work, as many as may be")
        self.known[run.id] = run
        over = [each.id for each in self.known.values() if each.state.is_over]
        for old in over[: -self._keep_finished]:
            del self.known[old]

    def get(self, run: str) -> Run:
        """Raises `runUnknown`, `alreadyElsewhere`."""
        with self.lock:
            found, gone = self.known.get(run), run in self.handed_over
        if found is None and gone:
            raise Problem(Code.ALREADY_ELSEWHERE, f"{run} was handed over")
        if found is None:
            raise Problem(Code.RUN_UNKNOWN, f"there is no run {run} in this pod")
        return found

    def all(self) -> list[Run]:
        """In the order of their ids."""
        with self.lock:
            return sorted(self.known.values(), key=lambda run: run.id)

    def in_use(self) -> set[str]:
        """Contents that runs need which are not over."""
        with self.lock:
            return {run.content_digest for run in self.known.values() if not run.state.is_over}
