"""What is measured. Labels follow revisions and routes, never runs."""

from collections import Counter as Counts
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from belay_runner.revisions import Revision
from belay_runner.run import Run

_RUN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PAUSE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 600)


class Metrics:
    """One set for each process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            "http_requests",
            "Answers of the port for runs.",
            ["code", "route", "revision"],
            registry=own,
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds", "How long answers took.", ["route"], registry=own
        )
        self.runs = Counter(
            "runs", "Runs that ended, by how. A run that failed is answered 200: judge health by "
            "this.", ["revision", "status"], registry=own
        )  # fmt: skip
        self.active = Gauge("runs_active", "Runs not over.", ["revision", "status"], registry=own)
        self.run_seconds = Histogram(
            "run_duration_seconds", "From start to end, pauses included.",
            buckets=_RUN_SECONDS, registry=own,
        )  # fmt: skip
        self.pause_seconds = Histogram(
            "pause_latency_seconds",
            "From the wish to the pause.",
            buckets=_PAUSE_SECONDS,
            registry=own,
        )
        self.node_failures = Counter(
            "node_failures", "Nodes that failed.", ["node_type"], registry=own
        )
        self.revision = Gauge(
            "active_revision_info",
            "1 for what is active.",
            ["revision", "contentDigest"],
            registry=own,
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def state(self, runs: Sequence[Run], active: Revision | None) -> None:
        """Set what is read from the present state, at the moment that somebody asks."""
        self.active.clear()
        for (revision, state), count in Counts(
            (run.revision.label if run.revision else "unknown", run.state.value)
            for run in runs
            if not run.state.is_over
        ).items():
            self.active.labels(revision, state).set(count)
        self.revision.clear()
        if active is not None:
            self.revision.labels(active.name or "", active.content_digest).set(1)
