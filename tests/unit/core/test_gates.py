"""Gating: each objection, with its remedy, before anything is touched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.world import check, observed, revision, spec, view

from belay.api.check import Check
from belay.api.status import Quarantine, WorkflowStatus
from belay.api.words import Reason, Stage
from belay.api.workflow import Preview
from belay.core.attempt import attempt_digest
from belay.core.gates import Ask, Go, Refuse, Same, Wait, gate, preview_workload
from belay.core.observed import (
    DamagedRevision,
    DryRun,
    KnownRevision,
    Observed,
    Refusal,
    ServiceView,
)


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The keyword for a Deployment that was changed so."""
    raw = world.deployment()
    change(raw)
    return {"workloads": (view(raw),)}


def two_containers(raw: dict[str, Any]) -> None:
    raw["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})


def mounted_there(raw: dict[str, Any]) -> None:
    container = raw["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "own", "mountPath": "/etc/belay/"}]


def on_host_network() -> dict[str, Any]:
    return changed(lambda raw: raw["spec"]["template"]["spec"].update(hostNetwork=True))


def known(*names: str) -> tuple[KnownRevision, ...]:
    return tuple(KnownRevision(n, f"uid-of-{n}", managed=False, created="") for n in names)


def quarantined(name: str = "v1") -> dict[str, Any]:
    entry = Quarantine(
        attempt_digest=attempt_digest(spec(), revision("v1").spec.digest),
        revision=name,
        reason=Reason.CHECK_FAILED,
        message='check "answers" got 500',
        at=world.NOW,
        rollout="3-1",
    )
    return {"status": WorkflowStatus(observed_generation=1, quarantine=[entry])}


SERVICE = check("behind", http={"port": 80, "service": "triage"})

REFUSALS = {
    "a digest that does not fit": (
        {"revision": DamagedRevision("wf-1-v1", "digest does not fit: sha256:0 is written")},
        Reason.DIGEST_MISMATCH,
        "WorkflowRevision wf-1-v1: digest does not fit: sha256:0 is written. Publish it anew.",
    ),
    "a revision that cannot be read": (
        {"revision": DamagedRevision("wf-1-v1", "line 3: no YAML")},
        Reason.REVISION_INVALID,
        "WorkflowRevision wf-1-v1: line 3: no YAML. Publish it anew.",
    ),
    "a name that came back with other content": (
        {"status": WorkflowStatus(active=world.ref("v1", "as it was"))},
        Reason.REVISION_REPLACED,
        "Publish it under a new revision.",
    ),
    "a target that names no workflow": (
        changed(lambda raw: raw["metadata"]["annotations"].clear()),
        Reason.TARGET_NOT_CONSENTING,
        "kubectl -n shop annotate deployment triage belay.dev/workflow=wf-1",
    ),
    "a target of another workflow": (
        changed(lambda raw: raw["metadata"]["annotations"].update({"belay.dev/workflow": "other"})),
        Reason.TARGET_NOT_CONSENTING,
        "belongs to workflow other. One workload, one Workflow",
    ),
    "a paused Deployment": (
        changed(lambda raw: raw["spec"].update(paused=True)),
        Reason.TARGET_UNSUPPORTED,
        "kubectl rollout resume deployment triage",
    ),
    "two containers to choose from": (
        changed(two_containers),
        Reason.CONTAINER_AMBIGUOUS,
        "has the containers app, proxy: name one in spec.target.workloads[0].container",
    ),
    "a folder that is not allowed": (
        {"spec": spec(mount_path="/srv")},
        Reason.MOUNT_PATH_NOT_ALLOWED,
        "spec.target.mountPath /srv is not allowed: it must be at or below /etc/belay",
    ),
    "a folder with a similar name": (
        {"spec": spec(mount_path="/etc/belayed")},
        Reason.MOUNT_PATH_NOT_ALLOWED,
        "must be at or below /etc/belay",
    ),
    "a folder that is taken": (
        changed(mounted_there),
        Reason.MOUNT_PATH_TAKEN,
        "Deployment triage mounts volume own at /etc/belay itself: move one of them",
    ),
    "a quarantined attempt": (
        quarantined(),
        Reason.QUARANTINED,
        (
            'in rollout 3-1: check "answers" got 500. Fix it under a new revision, or try it '
            "again: kubectl -n shop annotate workflows.belay.dev wf-1 belay.dev/retry="
        ),
    ),
    "a quarantined attempt under another name": (
        quarantined("v0"),
        Reason.QUARANTINED,
        "v1 failed before (as v0), in rollout 3-1",
    ),
    "a port that nobody declares": (
        {"spec": spec(checks=[check(http={"port": "metrics"})])},
        Reason.CHECK_INVALID,
        (
            'check "answers": port metrics is not declared by the container of Deployment triage. '
            "Declare it under ports in the pod template, or correct http.port"
        ),
    ),
    "a container that nobody has": (
        {
            "spec": spec(
                checks=[
                    Check.model_validate(
                        {"name": "answers", "exec": {"command": ["x"], "container": "side"}}
                    )
                ]
            )
        },
        Reason.CHECK_INVALID,
        'check "answers": Deployment triage has no container side: correct exec.container',
    ),
    "a Service that cannot be asked": (
        {
            "spec": spec(checks=[SERVICE]),
            "services": {"behind": ServiceView({}, "there is no Service triage")},
        },
        Reason.CHECK_INVALID,
        'check "behind": there is no Service triage',
    ),
    "pods on the host's network": (
        on_host_network() | {"host_network_allowed": True},
        Reason.PREVIEW_IMPOSSIBLE,
        "Set spec.verification.preview: None",
    ),
    "pods on the host's network, which the administrator does not allow": (
        on_host_network() | {"spec": spec(preview=Preview.NONE)},
        Reason.CHECK_INVALID,
        (
            'check "answers": the pods of Deployment triage are on the host network, which Belay '
            "asks only where the administrator allows it by: belay run --allow-host-network"
        ),
    ),
    "a claim for one pod alone": (
        {"workloads": (replace(view(), single_claims=("data",)),)},
        Reason.PREVIEW_IMPOSSIBLE,
        "it mounts the ReadWriteOncePod claim data. Set spec.verification.preview: None",
    ),
    "what the server's dry run says": (
        {"dry_run": DryRun(Refusal(Reason.DELIVERY_DENIED, "admission says no"), ())},
        Reason.DELIVERY_DENIED,
        "admission says no",
    ),
}


@pytest.mark.parametrize(("seen", "reason", "remedy"), REFUSALS.values(), ids=REFUSALS)
def test_gating_refuses_and_says_what_to_do(
    seen: dict[str, Any], reason: Reason, remedy: str
) -> None:
    answer = gate(observed(**seen), released=False)
    assert isinstance(answer, Refuse)
    assert answer.reason is reason
    assert remedy in answer.message


def test_a_revision_that_is_not_there_is_waited_for_with_the_known_ones_named() -> None:
    names = [f"v{n}" for n in range(10, 21)]
    answer = gate(observed(revision=None, known=known(*names)), released=False)
    assert answer == Wait(
        Reason.REVISION_NOT_FOUND,
        "waiting for WorkflowRevision wf-1-v1; it starts by itself when it appears "
        f"(known: {', '.join(names[:8])} and 3 more)",
    )
    nothing = gate(observed(revision=None), released=False)
    assert isinstance(nothing, Wait)
    assert "(known: none)" in nothing.message


def test_a_target_that_is_not_there_is_waited_for() -> None:
    answer = gate(observed(workloads=(view(found=False),)), released=False)
    assert answer == Wait(
        Reason.TARGET_NOT_FOUND,
        "waiting for Deployment triage in namespace shop; it starts by itself when it appears",
    )


def test_the_second_target_is_looked_at_like_the_first() -> None:
    other = world.deployment("intake")
    other["metadata"]["annotations"].clear()
    seen = observed(
        spec=spec(workloads=("triage", "intake")), workloads=(view(), view(other, name="intake"))
    )
    answer = gate(seen, released=False)
    assert isinstance(answer, Refuse)
    assert "Deployment intake does not name this workflow" in answer.message


def test_a_retry_overrules_the_quarantine_and_nothing_else() -> None:
    assert isinstance(gate(observed(**quarantined()), released=True), Ask)
    seen = observed(**quarantined(), workloads=(view(found=False),))
    assert isinstance(gate(seen, released=True), Wait)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": spec(checks=[check(failure_threshold=1)])},
        {"revision": revision("v1", "corrected")},
        {"spec": spec(window="2m")},
    ],
    ids=["a corrected check", "other content", "another window"],
)
def test_another_attempt_is_not_quarantined(change: dict[str, Any]) -> None:
    assert isinstance(gate(observed(**quarantined(), **change), released=False), Ask)


def test_all_is_asked_of_the_server_before_anything_is_touched() -> None:
    answer = gate(observed(), released=False)
    assert isinstance(answer, Ask)
    body = answer.action.writes[0].body
    assert body["kind"] == "Deployment"
    assert body["metadata"]["uid"] == "uid-of-triage"
    assert [c.name for c in answer.action.checks] == ["answers"]
    assert answer.action.told == "asking the server by a dry run"


def test_after_a_dry_run_without_objection_the_rollout_may_start() -> None:
    answer = gate(observed(dry_run=DryRun(None, ())), released=False)
    assert isinstance(answer, Go)
    assert answer.ref == world.ref("v1")


def test_more_folders_are_allowed_by_the_administrator() -> None:
    seen = observed(spec=spec(mount_path="/srv/app"), allowed_mounts=("/etc/belay", "/srv"))
    assert isinstance(gate(seen, released=False), Ask)


def test_our_own_mount_takes_no_folder() -> None:
    toy = promoted("v1")
    toy.wish("v2")
    assert isinstance(gate(toy.observe(), released=False), Ask)


def test_without_a_preview_host_network_is_no_obstacle() -> None:
    seen = observed(spec=spec(preview=Preview.NONE), host_network_allowed=True, **on_host_network())
    assert isinstance(gate(seen, released=False), Ask)


def _two(first_ports: bool) -> Observed:
    first, second = world.deployment("triage"), world.deployment("intake")
    if not first_ports:
        del first["spec"]["template"]["spec"]["containers"][0]["ports"]
    second["spec"]["template"]["spec"]["containers"][0]["ports"].append(
        {"name": "admin", "containerPort": 9090}
    )
    return observed(
        spec=spec(workloads=("triage", "intake")),
        workloads=(view(first), view(second, name="intake")),
    )


def test_the_preview_copies_the_first_workload_that_its_checks_can_ask() -> None:
    assert preview_workload(_two(first_ports=True)).name == "triage"
    assert preview_workload(_two(first_ports=False)).name == "intake"


def test_a_preview_that_no_workload_can_answer_is_refused() -> None:
    seen = _two(first_ports=False)
    first = world.deployment("triage")
    first["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 7000}]
    checks = [check("a", http={"port": 7000}), check("b", http={"port": "admin"})]
    seen = replace(
        seen,
        spec=spec(workloads=("triage", "intake"), checks=checks),
        workloads=(view(first), seen.workloads[1]),
    )
    answer = gate(seen, released=False)
    assert isinstance(answer, Refuse)
    assert answer.reason is Reason.PREVIEW_IMPOSSIBLE
    assert "no workload declares the ports of all checks at Preview" in answer.message
    gate_only = [c.model_copy(update={"at": [Stage.GATE]}) for c in checks]
    patched = seen.spec.verification.model_copy(update={"checks": gate_only})
    seen = replace(seen, spec=seen.spec.model_copy(update={"verification": patched}))
    assert isinstance(gate(seen, released=False), Ask)


def test_what_runs_and_is_proven_is_the_same_content_under_any_name() -> None:
    toy = promoted("v1")
    toy.revisions["v2"] = revision("v2", "v1")
    toy.wish("v2")
    answer = gate(toy.observe(), released=False)
    assert isinstance(answer, Same)
    assert (answer.ref.revision, answer.ref.uid) == ("v2", "uid-of-v2")
    assert answer.ref.content_digest == toy.status.active.content_digest


def test_what_does_not_run_everywhere_is_not_the_same() -> None:
    toy = promoted("v1")
    toy.undo().wish("v1", revision_history_limit=3)
    assert isinstance(gate(toy.observe(), released=False), Ask)


def test_the_service_of_a_check_needs_no_declared_port() -> None:
    seen = observed(spec=spec(checks=[SERVICE]), services={"behind": ServiceView({})})
    assert isinstance(gate(seen, released=False), Ask)


def test_gating_runs_no_clock_and_writes_nothing_for_what_it_waits_for() -> None:
    toy = Toy(spec("v9"))
    toy.turn()
    written = toy.writes
    toy.advance(86400).turn().turn()
    assert toy.writes == written
    assert toy.status.phase == "Pending"
    assert toy.status.rollout is None
