"""A user of the application: asks through the Service all the time, and counts what goes wrong."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.setup import SetupError

_TICKET = json.dumps({"inputs": {"ticket": "I was charged twice for one invoice"}})
_PERIOD = 0.04
_REACHABLE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was over, and what came (`200`, `500: why`, or an error's name)."""

    at: float
    came: str

    @property
    def good(self) -> bool:
        return self.came == "200"


@dataclass(frozen=True, slots=True)
class Tally:
    """The requests of a stretch of time."""

    answers: tuple[Answer, ...]

    @property
    def total(self) -> int:
        return len(self.answers)

    @property
    def failed(self) -> Counter[str]:
        """What came instead of 200, and how often."""
        return Counter(each.came for each in self.answers if not each.good)

    @property
    def last_failed(self) -> float | None:
        """When the last request failed; None where none did."""
        return max((each.at for each in self.answers if not each.good), default=None)

    def __str__(self) -> str:
        count = self.failed.total()
        return f"{self.total} requests, {count} failed"


@dataclass(slots=True)
class Client:
    """Asks from a thread, on a new connection each time, as most users of a Service do."""

    host: str
    _answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

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
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def mark(self) -> int:
        """The place in the record where it ends now, for `since`."""
        return len(self._answers)

    def since(self, mark: int) -> Tally:
        """All requests that ended after the mark."""
        return Tally(tuple(self._answers[mark:]))

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._answers.append(self._ask())

    def _ask(self) -> Answer:
        connection = http.client.HTTPConnection(self.host, 80, timeout=5)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/run", _TICKET, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            came = str(answer.status) + (f": {body['error']}" if "error" in body else "")
        except (OSError, http.client.HTTPException, ValueError) as error:
            came = type(error).__name__
        finally:
            connection.close()
        return Answer(time.time(), came)
