"""What happens around the operator: controllers, kubelets, checks, the network, who clears up."""

import json
from collections.abc import Iterator
from dataclasses import replace

from tests.model.state import CONTENTS, Job, PreviewPod, Progress, State
from tests.model.world import GOT, Mode, World
from tests.unit.core.world import KEY, NOW, seconds

from belay.api.names import ANNOTATION_CONTENT_DIGEST, LABEL_PAUSED_AGAIN, LABEL_PAUSED_BY
from belay.api.words import Verdict
from belay.core.decision import InstanceWrite
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Answer, Sample, judge
from belay.core.instances import orphans

Step = tuple[str, State]
"""What happens, and what is then."""


def woken(state: State) -> State:
    return replace(state, operator=replace(state.operator, awake=True))


def _followed(state: State) -> State:
    return woken(state) if state.operator.follows else state


def controllers(state: State, world: World) -> Iterator[Step]:
    target, preview = state.cluster.target, state.cluster.preview
    if target is not None and target.progress < Progress.READY:
        unready = world.mode(target.carries) is Mode.UNREADY
        if target.progress is Progress.UNSEEN or not unready:
            after = replace(target, progress=Progress(target.progress + 1))
            what = "starts a pod" if after.progress is Progress.STARTING else "has replaced its pod"
            cluster = replace(state.cluster, target=after)
            yield f"the Deployment {what}", _followed(replace(state, cluster=cluster))
    for job in state.cluster.jobs:
        if job.suspended and not job.stands:
            jobs = tuple(replace(j, stands=True) if j is job else j for j in state.cluster.jobs)
            cluster = replace(state.cluster, jobs=jobs)
            yield f"the pods of Job {job.name} are gone", replace(state, cluster=cluster)
    starting = preview is not None and preview.progress < Progress.READY
    if preview is not None and starting and world.mode(preview_content(preview)) != Mode.UNREADY:
        ready = replace(preview, progress=Progress.READY)
        cluster = replace(state.cluster, preview=ready)
        yield "the preview pod is ready", _followed(replace(state, cluster=cluster))


def preview_content(preview: PreviewPod) -> str:
    annotations = json.loads(preview.body)["metadata"]["annotations"]
    return CONTENTS[annotations[ANNOTATION_CONTENT_DIGEST]]


def answers(state: State, world: World) -> Iterator[Step]:
    """Each probe answers until its tally says all that it can say."""
    operator, cluster = state.operator, state.cluster
    if operator.lost_contact is not None:
        return
    for number, probe in enumerate(operator.plan.probes if operator.plan else ()):
        tally = operator.tallies[number]
        if tally.passes >= probe.check.success_threshold or (
            tally.fails >= probe.check.failure_threshold
        ):
            continue
        content: str | None = None
        if cluster.preview is not None and cluster.preview.pod.uid == probe.pod_uid:
            content = preview_content(cluster.preview)
        elif cluster.target and any(p.uid == probe.pod_uid for p in cluster.target.view.pods):
            content = cluster.target.carries
        else:
            continue
        answer = Answer.NONE if state.cut_off else world.answer(content, probe.stage)
        sample = Sample(answer, GOT[answer], NOW + seconds(state.now))
        verdict = judge(sample, ready=probe.ready, another_answered=False)
        if verdict is Verdict.INCONCLUSIVE and tally.tries:
            continue
        counted = tally.count(sample, verdict)
        tallies = [*operator.tallies]
        tallies[number] = counted
        label = f"check {probe.check.name} answers {sample.got} on {probe.pod}"
        yield label, woken(replace(state, operator=replace(operator, tallies=tuple(tallies))))


def swept(state: State) -> Iterator[Step]:
    """By the periodic look, or by the one after a deletion."""
    cluster = state.cluster
    held = [job for job in cluster.jobs if job.holder]
    if not held or (held[0].holder == cluster.uid and not _may_be_left(state)):
        return
    holding = cluster.uid if orphans.holds(cluster.status.status.to_api()) else None
    for job in held:
        if job.holder != holding:
            known = {"name": job.name, "namespace": KEY.namespace, "uid": job.view.uid}
            write = orphans.freed(job.view.kind, known | {"resourceVersion": ""})
            jobs = tuple(owned(j, write) for j in cluster.jobs)
            after = replace(state, cluster=replace(cluster, jobs=jobs))
            yield f"the sweeper lets Job {job.name} go", after


def _may_be_left(state: State) -> bool:
    """Else the sweeper would make good what `decide` should not have left to it."""
    rollout = state.cluster.status.status.rollout
    counts = rollout.instances if rollout is not None else None
    out_of_time = counts is not None and counts.not_resumed > 0
    return out_of_time or "status lost" in state.ledger.disturbed


def collected(state: State) -> Iterator[Step]:
    """The garbage collector of Kubernetes takes what had owners, and has none any more."""
    preview = state.cluster.preview
    if preview is not None and preview.owners and state.cluster.uid not in preview.owners:
        cluster = replace(state.cluster, preview=None)
        after = replace(state, cluster=cluster)
        yield "the preview pod goes with its Workflow", _followed(after)


def silence(state: State) -> Iterator[Step]:
    """So many other Workflows fell silent, too, that the fault is none of theirs."""
    operator = state.operator
    if state.cut_off and operator.plan is not None and operator.lost_contact is None:
        lost = LostContact(NOW + seconds(state.now), lost=5, probed=5)
        after = replace(state, operator=replace(operator, lost_contact=lost))
        yield "probing is suspended", woken(after)


def contact_back(state: State) -> Iterator[Step]:
    """Sooner or later; what was heard before that counts no more."""
    if not state.cut_off:
        return
    operator = state.operator
    if operator.lost_contact is not None:
        tallies = tuple(t.anew() for t in operator.tallies)
        operator = replace(operator, lost_contact=None, tallies=tallies, looking=None)
        operator = replace(operator, awake=operator.awake or operator.plan is not None)
    yield "the network is mended", replace(state, operator=operator, cut_off=False)


def owned(job: Job, write: InstanceWrite) -> Job:
    """Server-side apply of our label and the one field, to the very object."""
    metadata = write.body["metadata"]
    if metadata["uid"] != job.view.uid:
        return job
    labels = metadata.get("labels", {})
    suspended = write.body.get("spec", {}).get("suspend", job.suspended and not job.holder)
    holder, again = labels.get(LABEL_PAUSED_BY, ""), labels.get(LABEL_PAUSED_AGAIN, "")
    return replace(job, suspended=suspended, stands=False, holder=holder, again=again)
