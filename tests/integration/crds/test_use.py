"""What the models write and the API server stores is the same; server-side apply merges lists."""

from typing import Any

import pytest
from tests.harness.direct import Direct
from tests.integration.crds.conftest import Create, PatchStatus
from tests.integration.crds.samples import check, full_revision, target, workflow
from tests.integration.crds.status import STATUS, WHEN

from belay.api.crd.kinds import NOT_SEEN
from belay.api.revision import WorkflowRevisionSpec
from belay.api.status import Condition, WorkflowStatus
from belay.api.words import ConditionType
from belay.api.workflow import WorkflowSpec
from belay.shell.resources import REVISIONS, WORKFLOWS


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(workflow("a" * 52), id="longest name"),
        pytest.param(workflow("one", activeRevision="2026.1.rc4"), id="revision with dots"),
        pytest.param(
            workflow("two", target=target(mountPath="/etc/belay/..data/v1.2")), id="path with dots"
        ),
        pytest.param(workflow("three", verification={"window": "1h30m0.5s"}), id="long duration"),
        pytest.param(
            workflow(
                "four",
                verification={"checks": [check(http={"port": "http-2", "service": "triage"})]},
            ),
            id="named port of a service",
        ),
        pytest.param(
            workflow(
                "five",
                target={
                    "workloads": [
                        {
                            "kind": "Deployment",
                            "name": "triage",
                            "update": "InPlace",
                            "reports": {"port": "http", "jsonPointer": "/a~1b/0/~0"},
                        }
                    ]
                },
            ),
            id="in place with reports",
        ),
    ],
)
def test_what_is_unusual_and_right_is_accepted(create: Create, obj: dict[str, Any]) -> None:
    create(obj)


def test_the_server_fills_in_the_defaults_that_the_models_have(
    api: Direct, namespace: str, create: Create
) -> None:
    sparse = workflow("sparse", verification={"checks": [check()]})
    create(sparse)

    stored = api.get(WORKFLOWS, namespace, "sparse")["spec"]

    assert stored == WorkflowSpec.model_validate(sparse["spec"]).to_api()


def test_a_revision_comes_back_as_the_model_wrote_it(
    api: Direct, namespace: str, create: Create
) -> None:
    written = WorkflowRevisionSpec.model_validate(full_revision()["spec"])
    create({**full_revision(), "spec": written.to_api()})

    stored = api.get(REVISIONS, namespace, "triage-v1")["spec"]

    assert WorkflowRevisionSpec.model_validate(stored) == written


def test_a_whole_status_comes_back_as_the_model_wrote_it(
    api: Direct, namespace: str, create: Create, patch_status: PatchStatus
) -> None:
    create(workflow("whole"))
    patch_status("whole", STATUS.to_api())

    stored = api.get(WORKFLOWS, namespace, "whole")["status"]

    assert stored == STATUS.to_api()
    assert WorkflowStatus.model_validate(stored) == STATUS


def test_a_status_can_be_written_by_its_subresource_only(
    api: Direct, namespace: str, create: Create
) -> None:
    create({**workflow("sneaky"), "status": {"activeRevision": "v9"}})

    assert api.get(WORKFLOWS, namespace, "sneaky")["status"] == NOT_SEEN


def test_server_side_apply_merges_checks_by_name(api: Direct, namespace: str) -> None:
    both = workflow("merged", verification={"checks": [check("one"), check("two", period="2s")]})
    api.apply(WORKFLOWS, namespace, both)
    third = workflow("merged", verification={"checks": [check("three")]})

    api.apply(WORKFLOWS, namespace, third, manager="someone")

    checks = api.get(WORKFLOWS, namespace, "merged")["spec"]["verification"]["checks"]
    assert [one["name"] for one in checks] == ["one", "two", "three"]


def test_server_side_apply_merges_conditions_by_type(
    api: Direct, namespace: str, create: Create
) -> None:
    create(workflow("conditioned"))
    for condition, manager in ((ConditionType.READY, "one"), (ConditionType.ACTIVE, "another")):
        said = Condition(type=condition, status="True", reason="So", last_transition_time=WHEN)
        obj = {**workflow("conditioned"), "status": {"conditions": [said.to_api()]}}
        del obj["spec"]
        api.apply(WORKFLOWS, namespace, obj, manager=manager, subresource="status")

    conditions = api.get(WORKFLOWS, namespace, "conditioned")["status"]["conditions"]
    assert [one["type"] for one in conditions] == ["Ready", "Active"]
