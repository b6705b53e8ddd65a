"""Metrics of the process. What Workflows are in is told by `StateMetrics`, from their status."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from belay.api.words import Outcome, Verdict
from belay.runtime.state_metrics import StateMetrics
from belay.shell.resources import Resource

_ENDS: Final = tuple(outcome for outcome in Outcome if outcome is not Outcome.REFUSED)
"""Told as 0 from the beginning: Prometheus sees no increase where a series begins with 1."""


class Metrics:
    """One registry; no label names a Workflow here."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.state = StateMetrics()
        self._rollouts = Histogram(
            "belay_rollout_duration_seconds",
            "Time that parts of rollouts took; part `total` is the whole.",
            ["outcome", "part"],
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
        )
        for outcome in _ENDS:
            self._rollouts.labels(outcome.value, "total")
        self._checks = Counter(
            "belay_checks_total",
            "Answers of checks, by the type of the check and the verdict.",
            ["type", "verdict"],
            registry=self.registry,
        )
        self._requests = Counter(
            "belay_api_requests_total",
            "Requests to the API server; code 0 is no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._leader = Gauge("belay_leader", "1 while this process leads.", registry=self.registry)

    def rollout_part(self, outcome: Outcome, part: str, seconds: float) -> None:
        self._rollouts.labels(outcome.value, part).observe(seconds)

    def check(self, type_: str, verdict: Verdict) -> None:
        self._checks.labels(type_, verdict.value).inc()

    def api_request(self, verb: str, resource: Resource, code: int) -> None:
        self._requests.labels(verb, resource.plural, str(code)).inc()

    def leading(self, leads: bool) -> None:
        self._leader.set(int(leads))

    def watch_queue(self, depth: Callable[[], float], oldest: Callable[[], float]) -> None:
        """Read the queue's gauges at each scrape."""
        self._live("belay_queue_depth", "Workflows that wait for a worker.", depth)
        self._live(
            "belay_queue_oldest_seconds", "How long the one that waits longest has waited.", oldest
        )

    def watch_source(self, age: Callable[[], float]) -> None:
        """Read the age of the watch at each scrape."""
        self._live("belay_watch_age_seconds", "Time since events and a list agreed.", age)

    def watch_contact(self, lost: Callable[[], bool]) -> None:
        """Read the breaker's state at each scrape."""
        self._live("belay_probing_suspended", "1 while no check decides anything.", lost)

    def exposition(self) -> Iterator[bytes]:
        """The text format, in pieces that each take little time to make."""
        yield generate_latest(self.registry)
        for piece in self.state.exposition():
            yield piece.encode()

    def _live(self, name: str, words: str, read: Callable[[], float]) -> None:
        Gauge(name, words, registry=self.registry).set_function(read)
