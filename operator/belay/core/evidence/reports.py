"""Reports: which pods of workloads updated in place say that they run the wanted content."""

from belay.api.check import Check, HttpCheck
from belay.api.reports import Reports
from belay.api.status import RevisionRef
from belay.api.words import Phase, Stage
from belay.core.evidence.probe import BASELINE, Probe, Report, Tally
from belay.core.observed import Observed
from belay.core.pods import Pod

REPORT = "contentDigest"
"""Stands for the name of a check; no check can have it."""
_LEAST_PERIOD_MS, _PERIOD_MS_PER_POD = 100, 10
_QUICK = frozenset({Phase.DELIVERING, Phase.REVERTING})
_PATIENT = "1s"


def wanted(seen: Observed) -> RevisionRef | None:
    """The content that pods have to report now; at rest, what is active."""
    rollout = seen.status.rollout
    if rollout is None or rollout.outcome is not None:
        return seen.status.active
    return seen.status.stable if rollout.phase is Phase.REVERTING else rollout.to


def pods(seen: Observed) -> list[Pod]:
    """Pods that have to report."""
    return [p for w in seen.workloads if w.in_place for p in w.pods]


def plan(seen: Observed, stage: Stage, session: str) -> list[Probe]:
    """One probe for each pod that has to report, ready or not."""
    right = wanted(seen)
    if right is None or session == BASELINE:
        return []
    period = _period(seen)
    return [
        _probe(seen, reports, stage, pod, right.content_digest, period)
        for w in seen.workloads
        if (reports := w.reports) is not None
        for pod in w.pods
        if pod.address
    ]


def tallies(seen: Observed, session: str) -> dict[str, Tally]:
    """What came of asking the pods that have to report, by their UID."""
    if seen.session != session:
        return {}
    return {t.pod_uid: t for t in seen.tallies if t.check == REPORT}


def missing(seen: Observed, session: str) -> list[Pod]:
    """Pods whose latest report is not the wanted content: what checks say of them is discarded."""
    everyone = pods(seen)
    if session == BASELINE or not everyone:
        return []
    found = tallies(seen, session)
    return [p for p in everyone if not (p.uid in found and found[p.uid].passes)]


def counted(seen: Observed, session: str) -> str:
    """For people: `2 of 3 pods report sha256:0123456789ab`."""
    everyone, right = pods(seen), wanted(seen)
    good = len(everyone) - len(missing(seen, session))
    digest = right.content_digest[:19] if right is not None else "nothing"
    return f"{good} of {len(everyone)} pods report {digest}"


def _period(seen: Observed) -> str:
    """Short while a pod may be about to switch; a large workload is not asked more often in all."""
    rollout = seen.status.rollout
    if rollout is None or rollout.phase not in _QUICK:
        return _PATIENT
    return f"{max(_LEAST_PERIOD_MS, _PERIOD_MS_PER_POD * len(pods(seen)))}ms"


def _probe(
    seen: Observed, reports: Reports, stage: Stage, pod: Pod, digest: str, period: str
) -> Probe:
    http = HttpCheck(port=reports.port, path=reports.path)
    check = Check.model_construct(name=REPORT, http=http, period=period, failure_threshold=100)
    return Probe(
        check=check,
        stage=stage,
        namespace=seen.key.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        address=pod.address,
        hosts=pod.hosts,
        host_network=pod.host_network,
        port=pod.port(reports.port),
        ready=pod.ready,
        report=Report(reports.json_pointer, digest),
        since=str(pod.total_restarts),
        eager=True,
    )
