"""What the operator reads of a state: to the model what `belay.shell.observe` is to the API."""

from dataclasses import replace

from tests.model.state import ABSENT, KNOWN, REVISIONS, Cluster, State, Turn
from tests.unit.core.world import KEY, NOW, seconds

from belay.core import reading
from belay.core.delivery import config_map_name
from belay.core.instances.view import Instances, Look
from belay.core.observed import Observed
from belay.core.pods import Pod


def observe(state: State, turn: Turn) -> Observed:
    """What `decide` is given in this turn; of the cluster only what `reading` asks for."""
    read, operator = turn.read, state.operator
    assert read.uid is not None
    seen = Observed(
        key=KEY,
        uid=read.uid,
        generation=read.wish.generation,
        spec=read.wish.spec,
        status=read.status.status,
        retry=read.wish.retry,
        abort=read.wish.abort,
        known=KNOWN,
        known_complete=True,
        tallies=operator.tallies,
        session=operator.plan.session if operator.plan else "",
        lost_contact=operator.lost_contact,
        looking_since=NOW + seconds(operator.looking[1]) if operator.looking else None,
        dry_run=turn.dry_run,
        failure=turn.failure,
    )
    needs = reading.needs(seen)
    view = read.target.view if read.target else ABSENT
    seen = replace(
        seen,
        revision=REVISIONS[read.wish.spec.active_revision] if needs.revision else None,
        preview=_named(read, needs.preview),
        workloads=(view,) if needs.workloads else (),
    )
    seen = replace(seen, instances=_instances(read, needs.instances))
    there = {c.name: c for c in read.config_maps}
    names = [config_map_name(KEY.name, r.content_digest) for r in reading.contents(seen)]
    seen = replace(seen, config_maps={n: there[n] for n in names if n in there})
    source = reading.source(seen)
    if source and config_map_name(KEY.name, source.content_digest) not in there:
        return replace(seen, fallback=REVISIONS.get(source.revision))
    return seen


def _instances(read: Cluster, look: Look) -> Instances | None:
    if look is Look.NONE or read.uid is None:
        return None
    found = Instances(
        read.uid, read.rollout.id if read.rollout else "", tuple(j.view for j in read.jobs)
    )
    return found if look is Look.WANTED else replace(found, resources=found.held)


def _named(read: Cluster, name: str | None) -> Pod | None:
    """As the shell: one of a deleted Workflow of the same name is on its way out."""
    preview = read.preview
    if preview is None or preview.pod.name != name:
        return None
    return replace(
        preview.pod, terminating=preview.pod.terminating or read.uid not in preview.owners
    )
