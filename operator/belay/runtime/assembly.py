"""How a reconciler is put together from the parts of the machine."""

from datetime import UTC, datetime

from belay import __version__
from belay.core.keys import Key
from belay.runtime.leader import Parts
from belay.runtime.reconciler import Reconciler
from belay.shell.act import Senses
from belay.shell.asker import AskerByType
from belay.shell.credentials import Credentials
from belay.shell.exec_check import ExecAsker
from belay.shell.grpc_check import GrpcAsker
from belay.shell.http_check import HttpAsker, open_session
from belay.shell.job_check import JobAsker
from belay.shell.prober import Prober
from belay.shell.recorder import Recorder
from belay.shell.trust import Trust


def make_reconciler(parts: Parts) -> Reconciler:
    """A reconciler with its senses. Needs a running event loop."""
    session = open_session(__version__)
    credentials = Credentials(parts.cluster)
    trust = Trust(parts.cluster)
    asker = AskerByType(
        {
            "http": HttpAsker(session, parts.guard, credentials, trust, _now),
            "grpc": GrpcAsker(__version__, parts.guard, trust, _now),
            "exec": ExecAsker(parts.cluster, _now),
            "job": JobAsker(parts.cluster, _now),
        }
    )

    def wake(key: Key) -> None:
        parts.queue.add(key, reconciler.urgency(key))

    prober = Prober(asker, wake, now=_now, on_sample=parts.metrics.check)
    parts.metrics.watch_contact(lambda: prober.lost_contact is not None)
    recorder = Recorder(parts.cluster, parts.config.election.identity)
    recorder.start()
    reconciler = Reconciler(parts, Senses(prober, credentials, trust, session), recorder)
    return reconciler


def _now() -> datetime:
    return datetime.now(UTC)
