"""What to say at a deadline where not every pod reports the wanted content."""

from datetime import datetime, timedelta

from belay.api.duration import delta, spoken
from belay.api.words import Reason
from belay.core.evidence import reports
from belay.core.evidence.probe import Answer, Tally
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed


def all_report(seen: Observed, session: str) -> bool:
    return not reports.missing(seen, session)


def reported_since(seen: Observed, session: str) -> datetime | None:
    """Since when every pod reports; None where no pod has to."""
    found = reports.tallies(seen, session).values()
    return max((t.passing_since for t in found if t.passing_since is not None), default=None)


def other_content(
    seen: Observed, session: str, longer_than: timedelta = timedelta(0)
) -> Why | None:
    """A pod answers, and not with the wanted content (rule 6: a wrong answer)."""
    for tally in _missing(seen, session):
        last = tally.last
        if last is None or last.answer is not Answer.WRONG:
            continue
        took = last.at - (tally.failing_since or last.at)
        if took >= longer_than:
            verb = "still reports" if last.got.startswith("sha256:") else "answers"
            message = (
                f"{reports.counted(seen, session)}; {tally.pod} {verb} {last.got} "
                f"after {spoken(took)}"
            )
            return Why(Fault.REVISION, Reason.WRONG_CONTENT, message)
    return None


def no_report(seen: Observed, session: str, took: float) -> Why | None:
    """A pod does not report at all; whether that says something of it, rule 6 has judged."""
    for tally in _missing(seen, session):
        got = tally.last.got if tally.last is not None else "nothing yet"
        what = f"{reports.counted(seen, session)}; {tally.pod} reports nothing"
        asked = f"{tally.tries} tries of {tally.asked}, last: {got}"
        if tally.fails:
            return Why(Fault.REVISION, Reason.CHECK_FAILED, f"{what} while others answer ({asked})")
        message = f"no verdict within {spoken(took)}: {what} ({asked})"
        return Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, message)
    return None


def unreported(seen: Observed, session: str, took: float) -> Why | None:
    """Why a stage is not passed where that hangs on a report; `took` is in seconds."""
    return other_content(seen, session) or no_report(seen, session, took)


def stray(seen: Observed, session: str) -> Why | None:
    """In the window: a pod that has reported other content for as long as a delivery may take."""
    if seen.lost_contact is not None:
        return None
    return other_content(seen, session, delta(seen.spec.deadlines.deliver))


def _missing(seen: Observed, session: str) -> list[Tally]:
    """Tallies of pods that do not report the wanted content."""
    missing = reports.missing(seen, session)
    found = reports.tallies(seen, session) if missing else {}
    return [found[p.uid] for p in missing if p.uid in found]
