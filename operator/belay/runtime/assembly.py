"""How a reconciler is put together from the parts of the machine."""

from datetime import UTC, datetime

from belay import __version__
from belay.core.keys import Key
from belay.runtime.leader import Parts
from belay.runtime.reconciler import Reconciler
from belay.shell.act import Senses
from belay.shell.checks.asker import AskerByType
from belay.shell.checks.credentials import Credentials
from belay.shell.checks.exec_check import ExecAsker
from belay.shell.checks.grpc_check import GrpcAsker
from belay.shell.checks.http_check import HttpAsker, open_session
from belay.shell.checks.job_check import JobAsker
from belay.shell.checks.prober import Prober
from belay.shell.checks.trust import Trust
from belay.shell.engine.engines import open_engines
from belay.shell.recorder import Recorder


def make_reconciler(parts: Parts) -> Reconciler:
    """A reconciler with its senses. Needs a running event loop."""
    cluster = parts.cluster
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
    engines = open_engines(cluster, parts.guard, parts.config.backups)
    senses = Senses(prober, credentials, trust, session, engines)
    reconciler = Reconciler(parts, senses, recorder)
    return reconciler


def _now() -> datetime:
    return datetime.now(UTC)
