"""Users of the application: they ask through the Service all the time, and count failures."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.demo import service
from tests.harness.demo.runs import Runs
from tests.harness.setup import SetupError

TICKET = "I was charged twice for one invoice"
_USERS, _PERIOD = 3, 0.3
_END_SECONDS = 2
"""A request that hangs is not waited for when the demo ends."""
_REACHABLE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: what came (`succeeded`, or why not), and how long that took."""

    came: str
    seconds: float

    @property
    def good(self) -> bool:
        return self.came == "succeeded"


@dataclass(frozen=True, slots=True)
class Tally:
    """The requests of a stretch of time."""

    answers: tuple[Answer, ...]

    @property
    def total(self) -> int:
        return len(self.answers)

    @property
    def failed(self) -> Counter[str]:
        """What came instead of an answer, and how often."""
        return Counter(each.came for each in self.answers if not each.good)

    def __str__(self) -> str:
        slowest = max((each.seconds for each in self.answers), default=0.0)
        return (
            f"{self.total} requests, {self.failed.total()} failed, the slowest took {slowest:.1f} s"
        )


@dataclass(slots=True)
class Client:
    """Asks from a few threads, on a new connection each time, as most users of a Service do.

    Told `draining`, it asks again until intake is open.
    """

    host: str
    runs: Runs
    _answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin; the application has to answer well at least once first."""
        end = time.monotonic() + _REACHABLE_SECONDS
        while not (first := self._ask()).good:
            if time.monotonic() > end:
                raise SetupError(
                    f"the Service at {self.host} cannot be reached from here: {first.came}. "
                    "The demo counts requests through its cluster IP: run it on a node"
                )
            time.sleep(_PERIOD)
        for _ in range(_USERS):
            thread = threading.Thread(target=self._run, name="user", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)

    def mark(self) -> int:
        """The place in the record where it ends now, for `since`."""
        return len(self._answers)

    def since(self, mark: int) -> Tally:
        """All requests that ended after the mark."""
        return Tally(tuple(self._answers[mark:]))

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            try:
                self._answers.append(self._ask())
            except service.Stopped:
                return

    def _ask(self) -> Answer:
        began = time.monotonic()
        came = self._answer(str(uuid.uuid4()))
        return Answer(came, time.monotonic() - began)

    def _answer(self, run: str) -> str:
        reply = service.begin(self.host, run, TICKET, "blocking", self._stop)
        if reply.run is None:
            return reply.error
        if reply.run["status"] != "paused":
            return service.spoken(reply.run)
        moved = self.runs.follow(run, TICKET, self._stop)
        return moved.came if moved else "lost"
