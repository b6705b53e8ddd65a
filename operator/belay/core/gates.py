"""Gating: whether a wish may start. Named checks in order; the first that objects decides.

Nothing has been touched yet, and no deadline runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from belay.api.names import ANNOTATION_WORKFLOW, LABEL_WORKFLOW, VOLUME
from belay.api.status import RevisionRef
from belay.api.words import Reason, Stage
from belay.api.workflow import Preview
from belay.core.attempt import attempt_digest
from belay.core.decision import TryDelivery
from belay.core.delivery import Delivery, config_map_name
from belay.core.engine import steps
from belay.core.evidence import asking, proof
from belay.core.evidence.probe import BASELINE
from belay.core.instances import kinds
from belay.core.instances.writes import on_trial
from belay.core.observed import DamagedRevision, Observed, RevisionView
from belay.core.pods import declared_ports
from belay.core.workloads import WorkloadView
from belay.core.writing import deliveries


@dataclass(frozen=True, slots=True)
class Wait:
    """Something has not appeared yet; the rollout starts by itself when it does."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Someone must act."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Same:
    """The wanted content already runs and is proven: its name is adopted."""

    was: RevisionRef
    ref: RevisionRef


@dataclass(frozen=True, slots=True)
class Ask:
    """All is fine so far; the server is asked by a dry run."""

    action: TryDelivery


@dataclass(frozen=True, slots=True)
class Go:
    """The rollout may start."""

    ref: RevisionRef
    attempt: str


Gate = Wait | Refuse | Same | Ask | Go


def gate(seen: Observed, *, released: bool) -> Gate:
    """The answer to the wish in `spec`; `released` when a retry overrules the quarantine."""
    revision = seen.revision
    if revision is None:
        return Wait(Reason.REVISION_NOT_FOUND, _not_found(seen))
    if isinstance(revision, DamagedRevision):
        return _damaged(revision)
    objection = _first_objection(seen, revision)
    if objection is not None:
        return objection
    active = seen.status.active
    if active is not None and is_proven(seen, revision, active):
        update = {"revision": revision.spec.revision, "uid": revision.uid}
        return Same(active, active.model_copy(update=update))
    attempt = attempt_digest(seen.spec, revision.spec.digest)
    quarantined = None if released else _quarantined(seen, attempt, revision)
    refusal = (
        quarantined
        or _bindings_impossible(seen, revision)
        or _checks_invalid(seen)
        or _instances_unsupported(seen)
        or _preview_impossible(seen)
    )
    if refusal is not None:
        return refusal
    if seen.dry_run is None:
        return Ask(_try(seen, revision))
    if seen.dry_run.refusal is not None:
        return Refuse(seen.dry_run.refusal.reason, seen.dry_run.refusal.message)
    return Go(revision.ref, attempt)


def _instances_unsupported(seen: Observed) -> Refuse | None:
    wanted = seen.spec.instances
    if wanted is None:
        return None
    problem = kinds.objection(seen.instance_kinds, wanted) or steps.objection(seen)
    if problem is None and seen.instances is not None:
        problem = next((one.message for one in seen.instances.unseen), None)
    return Refuse(Reason.INSTANCES_UNSUPPORTED, problem) if problem else None


def _first_objection(seen: Observed, revision: RevisionView) -> Wait | Refuse | None:
    """What stands against the revision itself, or else against a target, in order."""
    replaced = _replaced(seen, revision)
    if replaced is not None:
        return replaced
    answers = (of_workload(seen, w) for w in seen.workloads for of_workload in _OF_WORKLOADS)
    return next((answer for answer in answers if answer is not None), None)


def is_proven(seen: Observed, revision: RevisionView, active: RevisionRef) -> bool:
    """The wanted digest is what runs and what is stable, and every live template carries it."""
    stable = seen.status.stable
    return (
        stable is not None
        and active.digest == stable.digest == revision.spec.digest
        and all(delivery_of(seen, active).arrived_at(w) for w in seen.workloads)
    )


def delivery_of(seen: Observed, ref: RevisionRef) -> Delivery:
    """The delivery of one content, under the name that it was first delivered with."""
    there = seen.config_maps.get(config_map_name(seen.key.name, ref.content_digest))
    first = there.first_name if there is not None and there.first_name else ref.revision
    return Delivery(seen.key, ref, first, seen.spec.target.mount_path)


def previewed(seen: Observed) -> bool:
    return seen.spec.preview is Preview.POD


def preview_workload(seen: Observed) -> WorkloadView:
    """The workload whose template the preview pod copies: the first that its checks can ask.

    One that is updated in place has nowhere in its template to put a revision. Where templates
    tell that some cannot have one more pod, it is the first of the others.
    """
    checks = proof.checks_at(seen, Stage.PREVIEW)
    able = [w for w in seen.workloads if not w.in_place] or list(seen.workloads)
    fitting = [w for w in able if all(asking.declares(w, c) for c in checks)]
    possible = (w for w in fitting if _no_more_pods(w) is None)
    return next(possible, next(iter(fitting), able[0]))


def _no_more_pods(workload: WorkloadView) -> str | None:
    assert workload.raw is not None  # noqa: S101
    if workload.in_place:
        return "it is updated in place, so its template has no place for a revision"
    if workload.kind.template(workload.raw)["spec"].get("hostNetwork"):
        return "its pods use the host's network, where two would want the same ports"
    return workload.kind.no_preview(workload.raw)


def consents(seen: Observed, workload: WorkloadView) -> bool:
    """Whether the workload is there and names this Workflow."""
    return workload.consent == seen.key.name


def _not_found(seen: Observed) -> str:
    wanted = f"{seen.key.name}-{seen.spec.active_revision}"
    names = [k.name for k in seen.known]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return (
        f"waiting for WorkflowRevision {wanted}; it starts by itself when it appears"
        f" (known: {shown or 'none'})"
    )


def _damaged(revision: DamagedRevision) -> Refuse:
    mismatch = revision.damage.startswith(("digest", "contentDigest"))
    reason = Reason.DIGEST_MISMATCH if mismatch else Reason.REVISION_INVALID
    message = f"WorkflowRevision {revision.name}: {revision.damage}. Publish it anew."
    return Refuse(reason, message)


def _replaced(seen: Observed, revision: RevisionView) -> Refuse | None:
    status = seen.status
    remembered = [status.active, status.stable, status.rollout.to if status.rollout else None]
    for known in remembered:
        if (
            known is not None
            and known.revision == revision.spec.revision
            and known.digest != revision.spec.digest
        ):
            message = (
                f"{seen.key.name}-{known.revision} was deleted and made again with other content "
                f"(was {known.digest[:15]}, is {revision.spec.digest[:15]}). "
                "Publish it under a new revision."
            )
            return Refuse(Reason.REVISION_REPLACED, message)
    return None


def _not_allowed(seen: Observed, workload: WorkloadView) -> Refuse | None:
    option = workload.kind.option
    if not option or option in seen.allowed_kinds:
        return None
    message = (
        f"{workload.told}: targets of the kind {option} are not allowed here. The administrator "
        f"allows them by `belay run --target-kind {option}` and the rights for them: see "
        "docs/operations.md#further-kinds"
    )
    return Refuse(Reason.TARGET_UNSUPPORTED, message)


def _missing(seen: Observed, workload: WorkloadView) -> Wait | None:
    if workload.found:
        return None
    message = (
        f"waiting for {workload.told} in namespace {seen.key.namespace}; "
        "it starts by itself when it appears"
    )
    return Wait(Reason.TARGET_NOT_FOUND, message)


def _not_consenting(seen: Observed, workload: WorkloadView) -> Refuse | None:
    if consents(seen, workload):
        return None
    consent = workload.consent
    command = (
        f"kubectl -n {seen.key.namespace} annotate {workload.kind.resource} {workload.name} "
        f"{ANNOTATION_WORKFLOW}={seen.key.name}"
    )
    if consent:
        message = (
            f"{workload.told} belongs to workflow {consent}. One workload, one Workflow: "
            f"its owner may change that by: {command} --overwrite"
        )
    else:
        message = f"{workload.told} does not name this workflow. Its owner runs: {command}"
    return Refuse(Reason.TARGET_NOT_CONSENTING, message)


def _unsupported(seen: Observed, workload: WorkloadView) -> Refuse | None:
    del seen
    assert workload.raw is not None  # noqa: S101
    why = workload.kind.unsupported(workload.raw)
    return Refuse(Reason.TARGET_UNSUPPORTED, f"{workload.told} {why}") if why else None


def _ambiguous(seen: Observed, workload: WorkloadView) -> Refuse | None:
    if workload.container is not None:
        return None
    assert workload.raw is not None  # noqa: S101
    spec = workload.kind.template(workload.raw)["spec"]
    names = ", ".join(c["name"] for c in spec["containers"])
    index = [w.name for w in seen.spec.target.workloads].index(workload.name)
    return Refuse(
        Reason.CONTAINER_AMBIGUOUS,
        f"{workload.told} has the containers {names}: name one in "
        f"spec.target.workloads[{index}].container, or by the template's annotation "
        "kubectl.kubernetes.io/default-container",
    )


def _mount_not_allowed(seen: Observed, workload: WorkloadView) -> Refuse | None:
    path = seen.spec.target.mount_path
    if workload.in_place:
        return None
    if any(path == root or path.startswith(root + "/") for root in seen.allowed_mounts):
        return _mount_taken(workload, path)
    roots = ", ".join(seen.allowed_mounts)
    message = f"spec.target.mountPath {path} is not allowed: it must be at or below {roots}"
    return Refuse(Reason.MOUNT_PATH_NOT_ALLOWED, message)


def _mount_taken(workload: WorkloadView, path: str) -> Refuse | None:
    assert workload.raw is not None  # noqa: S101
    spec = workload.kind.template(workload.raw)["spec"]
    container = next(c for c in spec["containers"] if c["name"] == workload.container)
    for mount in container.get("volumeMounts") or []:
        if mount["mountPath"].rstrip("/") == path and mount["name"] != VOLUME:
            message = (
                f"{workload.told} mounts volume {mount['name']} at {path} itself: move one of "
                "them, by spec.target.mountPath or in the template"
            )
            return Refuse(Reason.MOUNT_PATH_TAKEN, message)
    return None


def _foreign_pointer(seen: Observed, workload: WorkloadView) -> Refuse | None:
    pointer = workload.pointer
    if pointer is None or pointer.ours:
        return None
    message = (
        f"ConfigMap {pointer.name}, which {workload.told} is to watch, is there and was not made "
        f"by Belay (it has no label {LABEL_WORKFLOW}={seen.key.name}). Nothing is overwritten: "
        "rename or delete it"
    )
    return Refuse(Reason.DELIVERY_CONFLICT, message)


def _report_undeclared(seen: Observed, workload: WorkloadView) -> Refuse | None:
    if workload.reports is None:
        return None
    assert workload.raw is not None  # noqa: S101
    spec = workload.kind.template(workload.raw)["spec"]
    if str(workload.reports.port) in declared_ports(spec, workload.container):
        return None
    index = [w.name for w in seen.spec.target.workloads].index(workload.name)
    message = (
        f"port {workload.reports.port} of spec.target.workloads[{index}].reports is not declared "
        f"by the container of {workload.told}. Declare it under ports in the pod template, or "
        "correct reports.port"
    )
    return Refuse(Reason.CHECK_INVALID, message)


_OF_WORKLOADS: tuple[Callable[[Observed, WorkloadView], Wait | Refuse | None], ...] = (
    _not_allowed,
    _missing,
    _not_consenting,
    _unsupported,
    _ambiguous,
    _mount_not_allowed,
    _foreign_pointer,
    _report_undeclared,
)


def _quarantined(seen: Observed, attempt: str, revision: RevisionView) -> Refuse | None:
    entry = next((q for q in seen.status.quarantine if q.attempt_digest == attempt), None)
    if entry is None:
        return None
    name = revision.spec.revision
    under = "" if entry.revision == name else f" (as {entry.revision})"
    message = (
        f"{name} failed before{under}, in rollout {entry.rollout}: {entry.message}. "
        f"Fix it under a new revision, or try it again: {retry_command(seen)}"
    )
    return Refuse(Reason.QUARANTINED, message)


def retry_command(seen: Observed) -> str:
    return (
        f"kubectl -n {seen.key.namespace} annotate workflows.belay.dev {seen.key.name} "
        'belay.dev/retry="$(date +%s)" --overwrite'
    )


def _bindings_impossible(seen: Observed, revision: RevisionView) -> Refuse | None:
    watching = next((w for w in seen.workloads if w.in_place), None)
    if watching is None or not revision.spec.bindings:
        return None
    message = (
        f"{revision.spec.revision} has bindings, which only new pods can mount, and "
        f"{watching.told} is updated in place. Publish it without bindings, or deliver it to a "
        "workload with update: Rolling"
    )
    return Refuse(Reason.TARGET_UNSUPPORTED, message)


def _preview_impossible(seen: Observed) -> Refuse | None:
    if not previewed(seen):
        return None
    workload = preview_workload(seen)
    why = _no_more_pods(workload)
    if workload.single_claims:
        why = f"it mounts the ReadWriteOncePod claim {workload.single_claims[0]}"
    elif not all(asking.declares(workload, c) for c in proof.checks_at(seen, Stage.PREVIEW)):
        why = "no workload declares the ports of all checks at Preview"
    if why is None:
        return None
    message = (
        f"no preview pod of {workload.told} is possible: {why}. Set spec.verification.preview: None"
    )
    return Refuse(Reason.PREVIEW_IMPOSSIBLE, message)


def _checks_invalid(seen: Observed) -> Refuse | None:
    for check in seen.spec.verification.checks:
        message = next(asking.objections(seen, check), None)
        if message is not None:
            return Refuse(Reason.CHECK_INVALID, f'check "{check.name}": {message}')
    return None


def _try(seen: Observed, revision: RevisionView) -> TryDelivery:
    delivery = delivery_of(seen, revision.ref)
    writes = tuple(deliveries(seen, delivery, seen.workloads, revision.content))
    checks = tuple(seen.spec.verification.checks)
    running = seen.of(tuple(w for w in seen.workloads if w.carried is not None))
    plan = proof.plan(running, Stage.GATE, BASELINE)
    # A Job would be a write, and takes long; nothing is to be touched yet.
    asked = tuple(probe for probe in plan.probes if probe.check.job is None)
    pauses = on_trial(seen.instances, seen.key.namespace)
    return TryDelivery(writes, checks, replace(plan, probes=asked), pauses)
