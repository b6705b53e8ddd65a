"""Long runs of the workflow, some always in flight, and the account of what became of each."""

import http.client
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.harness.demo import service
from tests.harness.setup import SetupError

_OVER = "succeeded,partial-succeeded,failed,stopped,lost"
_PERIOD, _LOOK, _SETTLE_SECONDS = 0.3, 0.4, 60.0
_END_SECONDS = 2
_ADMIN, _DATA = 8081, 8080
LONG = 950
"""Characters that keep the classifier busy for 1.5 s: the run is in that call so long."""
SHORT = "Ticket 0: I was charged twice for one invoice"


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, and the digest of the content that it ran on."""

    came: str
    outputs: service.Body
    content: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all runs."""

    begun: int
    right: Counter[str]
    """Finished with the outputs of an undisturbed run on the same content, by that."""
    other: dict[str, End]
    """Ended in another way, by id."""
    lost: tuple[str, ...]


@dataclass(slots=True)
class Runs:
    """`pods` gives the addresses of the application's pods, those that end included."""

    host: str
    token: str
    pods: Callable[[], list[str]]
    _begun: dict[str, str] = field(default_factory=dict)
    """The ticket of each run."""
    _ended: dict[str, End] = field(default_factory=dict)
    _undisturbed: dict[str, service.Body] = field(default_factory=dict)
    """Outputs for the short ticket, by content."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _enough: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Keep some in flight from now on."""
        for work in (self._feed, self._watch):
            thread = threading.Thread(target=work, name="runs", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Begin and look no more."""
        self._enough.set()
        self._stop.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)

    def undisturbed(self) -> None:
        """Note what a run says while nothing is rolled out."""
        reply = service.begin(self.host, str(uuid.uuid4()), SHORT, "blocking", self._stop)
        if reply.run is None or reply.run["status"] != "succeeded":
            raise SetupError(f"an undisturbed run did not succeed: {reply.run or reply.error}")
        self._undisturbed[reply.run["workflow_id"]] = reply.run["outputs"]

    def follow(self, run: str, ticket: str, stop: threading.Event) -> End | None:
        """Wait for a run that somebody else has begun, in whatever pod it goes on."""
        self._begun[run] = ticket
        until = time.monotonic() + _SETTLE_SECONDS
        while run not in self._ended and time.monotonic() < until and not stop.wait(_LOOK):
            pass
        return self._ended.get(run)

    @property
    def in_flight(self) -> int:
        return len(self._begun) - len(self._ended)

    def settle(self) -> Account:
        """Begin no more, wait for those in flight, and account for all."""
        self._enough.set()
        until = time.monotonic() + _SETTLE_SECONDS
        while self.in_flight and time.monotonic() < until:
            time.sleep(_LOOK)
        good = [end for run, end in self._ended.items() if self._good(run, end)]
        return Account(
            begun=len(self._begun),
            right=Counter(end.content for end in good),
            other={run: end for run, end in self._ended.items() if not self._good(run, end)},
            lost=tuple(sorted(self._begun.keys() - self._ended.keys())),
        )

    def _good(self, run: str, end: End) -> bool:
        model = self._undisturbed.get(end.content, {})
        wanted = {k: v.replace(SHORT, self._begun[run]) for k, v in model.items()}
        return end.came == "succeeded" and end.outputs == wanted

    def _feed(self) -> None:
        number = 0
        while not self._enough.wait(_PERIOD):
            number += 1
            ticket = f"Ticket {number}: I was charged twice for one invoice. ".ljust(LONG, ".")
            run = str(uuid.uuid4())
            with suppress(service.Stopped):
                reply = service.begin(self.host, run, ticket, "async", self._enough)
                self._begun[run] = ticket
                if reply.run is None:
                    self._ended[run] = End(f"not begun: {reply.error}", {}, "")

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK):
            for pod in self.pods():
                with suppress(OSError, http.client.HTTPException, ValueError):
                    self._look(pod)

    def _look(self, pod: str) -> None:
        path = f"/engine/v1/runs?limit=500&status={_OVER}"
        while True:
            page = service.ask(pod, _ADMIN, path, self.token)
            ended = [run["id"] for run in page["runs"] if run["id"] in self._begun]
            for run in (each for each in ended if each not in self._ended):
                told = service.ask(pod, _DATA, f"/v1/workflows/run/{run}")
                self._ended[run] = End(service.spoken(told), told["outputs"], told["workflow_id"])
            if not page["next"]:
                return
            path = f"{path.partition('&cursor')[0]}&cursor={page['next']}"
