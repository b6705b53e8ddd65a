"""What the API server must not store is refused, in words that say how to fix it."""

from typing import Any

import pytest
from tests.integration.crds.conftest import Refusal
from tests.integration.crds.samples import (
    asking,
    check,
    full_revision,
    revision,
    target,
    verified_by,
    workflow,
)

DEPLOYMENT = {"kind": "Deployment", "name": "triage"}
KEY = {"name": "triage", "key": "token"}


def with_header(**header: Any) -> dict[str, Any]:
    return asking(headers=[header])


def with_engine(update: str = "Rolling", **engine: Any) -> dict[str, Any]:
    workload = {**DEPLOYMENT, "update": update}
    if update == "InPlace":
        workload["reports"] = {"port": 8080}
    how = {"port": 8081, "tokenFrom": {"secretKeyRef": KEY}, **engine}
    return workflow(target={"workloads": [workload]}, instances={"engine": how})


def with_instances(**selector: Any) -> dict[str, Any]:
    return workflow(instances={"resources": [{"kind": "Job", "selector": selector}]})


@pytest.mark.parametrize(
    ("obj", "remedy"),
    [
        pytest.param(workflow("a" * 53), "at most 52 characters and no dots", id="name too long"),
        pytest.param(workflow("a.b"), "at most 52 characters and no dots", id="name with a dot"),
        pytest.param(
            workflow(activeRevision="v-1"), "lower-case letters, digits and single dots",
            id="revision with a hyphen",
        ),
        pytest.param(
            workflow(activeRevision="V1"), "such as v3 or 2026.1", id="revision in capitals"
        ),
        pytest.param(
            workflow(activeRevision="v" * 25), "may not be more than 24", id="revision too long"
        ),
        pytest.param(
            workflow(target={"workloads": []}), "should have at least 1 item", id="no workload"
        ),
        pytest.param(
            with_instances(matchLabels={"": "x", "app": "x"}), "the key of a label has 1 to 317",
            id="a label without a key",
        ),
        pytest.param(
            with_instances(matchLabels={"k" * 318: "x"}), "the key of a label has 1 to 317",
            id="a label with a long key",
        ),
        pytest.param(
            with_instances(matchLabels={}), "an empty selector would mean all objects",
            id="a selector without labels",
        ),
        pytest.param(
            workflow(
                target={"workloads": [{**DEPLOYMENT, "name": f"t{n}"} for n in range(9)]}
            ),
            "must have at most 8 items",
            id="nine workloads",
        ),
        pytest.param(
            workflow(target={"workloads": [DEPLOYMENT, DEPLOYMENT]}), "Duplicate value",
            id="the same workload twice",
        ),
        pytest.param(
            workflow(target={"workloads": [{"kind": "Rollout", "name": "triage"}]}),
            "write apiVersion: argoproj.io/v1alpha1 for a Rollout", id="a Rollout of apps/v1",
        ),
        pytest.param(
            workflow(
                target={"workloads": [{**DEPLOYMENT, "apiVersion": "argoproj.io/v1alpha1"}]}
            ),
            "and apps/v1 for the others", id="a Deployment of Argo",
        ),
        pytest.param(
            workflow(target={"workloads": [{"kind": "CronJob", "name": "triage"}]}),
            'supported values: "Deployment", "StatefulSet", "DaemonSet"',
            id="a kind that is not supported",
        ),
        pytest.param(
            workflow(target={"workloads": [{**DEPLOYMENT, "update": "InPlace"}]}),
            "set reports, such as reports: {port: 8080, path: /current}",
            id="in place without reports",
        ),
        pytest.param(
            workflow(target={"workloads": [{**DEPLOYMENT, "reports": {"port": 8080}}]}),
            "reports is for update: InPlace only",
            id="reports of a rolling workload",
        ),
        *[
            pytest.param(
                workflow(
                    target={
                        "workloads": [
                            {**DEPLOYMENT, "update": "InPlace", "reports": {"port": 80, **reports}}
                        ]
                    }
                ),
                remedy,
                id=f"reports with {reports}",
            )
            for reports, remedy in (
                ({"jsonPointer": "contentDigest"}, "write a JSON pointer (RFC 6901)"),
                ({"jsonPointer": "/a~2"}, "write a JSON pointer (RFC 6901)"),
                ({"path": "current"}, "begin the path with a slash"),
                ({"port": 0}, "write a port number from 1 to 65535"),
            )
        ],
        *[
            pytest.param(
                workflow(target=target(mountPath=path)),
                "write an absolute path",
                id=f"mount path {path}",
            )
            for path in ("/etc/../root", "/etc/./belay", "/..", "etc/belay", "/etc//belay", "/a/")
        ],
        *[
            pytest.param(
                workflow(verification={"window": window}),
                "write a duration from 0s to 24h, such as 30s",
                id=f"window {window}",
            )
            for window in ("25h", "5 min", "-1s", "1d", "PT1M", "99999999999999h")
        ],
        pytest.param(
            workflow(deadlines={"deliver": "0s"}), "write a duration from 1s to 24h",
            id="deadline of nothing",
        ),
        pytest.param(
            verified_by(check(period="1ms")), "write a duration from 100ms to 10m",
            id="period too short",
        ),
        pytest.param(
            verified_by(check(timeout="2m")), "set a timeout of at most 60s",
            id="timeout too long",
        ),
        pytest.param(verified_by(check(), check()), "Duplicate value", id="the same check twice"),
        pytest.param(
            verified_by({"name": "a"}), "say what to ask: set exactly one", id="empty check"
        ),
        pytest.param(
            verified_by(check(grpc={"port": 9090})), "say what to ask: set exactly one",
            id="two ways to ask",
        ),
        pytest.param(
            verified_by({"name": "a", "job": {"from": "probe"}, "timeout": "31m"}),
            "write a duration from 50ms to 30m", id="timeout too long for a job",
        ),
        pytest.param(
            verified_by({"name": "a", "job": {"from": "probe"}, "timeout": "500ms"}),
            "set a timeout of at least 1s", id="timeout too short for a job",
        ),
        pytest.param(
            verified_by({"name": "a", "exec": {"command": []}}), "should have at least 1 item",
            id="no command",
        ),
        pytest.param(
            verified_by({"name": "a", "job": {}}), "from: Required value", id="a job of nothing"
        ),
        pytest.param(
            verified_by({"name": "a", "grpc": {"port": 0}}), "a port number from 1 to 65535",
            id="gRPC on port 0",
        ),
        pytest.param(
            verified_by({"name": "a", "grpc": {"port": 9090, "service": "a b"}}),
            "under which the server registered it", id="gRPC service with a space",
        ),
        pytest.param(
            verified_by(check(at=["Preview"], http={"port": 80, "service": "triage"})),
            "leave out service, or take Preview out of at",
            id="a Service in the preview",
        ),
        pytest.param(
            verified_by(check(at=["Always"])), 'supported values: "Preview", "Gate"',
            id="unknown stage",
        ),
        pytest.param(
            verified_by(check(failureThreshold=0)), "greater than or equal to 1",
            id="threshold of nothing",
        ),
        pytest.param(asking(port=0), "a port number from 1 to 65535", id="port 0"),
        pytest.param(asking(port=65536), "a port number from 1 to 65535", id="port 65536"),
        pytest.param(asking(port="-http"), "should match '^[a-z0-9]", id="port with a bad name"),
        pytest.param(asking(path="healthz"), "begin the path with a slash", id="path"),
        pytest.param(asking(path="/a b"), "percent-encoded", id="path with a space"),
        pytest.param(asking(path="/a\r\nX: y"), "percent-encoded", id="path with a newline"),
        pytest.param(
            asking(method="HEAD", expect={"bodyContains": "ok"}), "take GET",
            id="a body is expected of HEAD",
        ),
        pytest.param(
            asking(scheme="HTTPS"), "scheme: HTTPS and tls go together", id="TLS without a name"
        ),
        pytest.param(
            asking(tls={"serverName": "a"}), "scheme: HTTPS and tls go together",
            id="a name without TLS",
        ),
        pytest.param(
            asking(scheme="HTTPS", tls={"serverName": "a b"}), "write the name in the certificate",
            id="a bad server name",
        ),
        pytest.param(asking(body="x" * 4097), "may not be more than 4096", id="body too long"),
        pytest.param(
            asking(expect={"status": [99]}), "greater than or equal to 100", id="status 99"
        ),
        pytest.param(
            asking(expect={"status": []}), "should have at least 1 item", id="no status"
        ),
        pytest.param(
            with_header(name="X-A", value="a\r\nX-B: b"), "on one line", id="header of two lines"
        ),
        pytest.param(
            with_header(name="X A", value="a"), "without spaces and colons", id="header name"
        ),
        pytest.param(
            with_header(name="content-length", value="1"), "Belay sets them", id="framing header"
        ),
        pytest.param(
            with_header(name="X-A"), "set exactly one of value and valueFrom", id="no value"
        ),
        pytest.param(
            with_header(name="X-A", value="a", valueFrom={"secretKeyRef": KEY}),
            "set exactly one of value and valueFrom",
            id="two values",
        ),
        pytest.param(
            asking(headers=[{"name": "X-A", "value": "a"}, {"name": "X-A", "value": "b"}]),
            "Duplicate value",
            id="the same header twice",
        ),
        pytest.param(
            workflow(verification={"checks": [check(at=["Preview", "Gate"])], "steady": {}}),
            "steady goes on with the checks at Observation, and there is none",
            id="steady without a check at Observation",
        ),
        pytest.param(
            workflow(verification={"steady": {}}),
            "add Observation to at of a check, or leave out steady",
            id="steady without a check",
        ),
        pytest.param(
            with_engine(policy="Pin"), "which only update: Reload keeps",
            id="pinned runs in pods that are rolled",
        ),
        pytest.param(
            with_engine(policy="Pin", update="InPlace"), "which only update: Reload keeps",
            id="pinned runs where nobody tells the pods",
        ),
        pytest.param(
            with_engine(policy="Pin", update="Reload", afterwards="Cancel"),
            "policy: Pin pauses no run, so nothing becomes of them afterwards",
            id="pinned runs to be cancelled",
        ),
        pytest.param(
            {**(one := with_engine()), "spec": {
                **one["spec"], "instances": {**one["spec"]["instances"], "afterRevert": "Pin"}}},
            "write afterRevert: Restart or Cancel",
            id="runs that a way back would end",
        ),
        pytest.param(
            workflow(activeRevison="v2"), 'unknown field "spec.activeRevison"', id="misspelt field"
        ),
    ],
)  # fmt: skip
def test_a_workflow_is_refused_with_its_remedy(
    refusal: Refusal, obj: dict[str, Any], remedy: str
) -> None:
    assert remedy in refusal(obj)


@pytest.mark.parametrize(
    ("obj", "remedy"),
    [
        pytest.param(
            revision("other-v1"), "must be <spec.workflowName>-<spec.revision>", id="other name"
        ),
        pytest.param(
            revision("triage-v2"), "must be <spec.workflowName>-<spec.revision>", id="other version"
        ),
        pytest.param(
            revision("triage-v-1", revision="v-1"), "a hyphen would make", id="hyphen"
        ),
        pytest.param(
            revision("triage-v1.", revision="v1."), "such as v3 or 2026.1", id="dot at the end"
        ),
        pytest.param(
            revision("a.b-v1", workflowName="a.b"), "hyphens, no dots", id="dot in the workflow"
        ),
        pytest.param(
            revision(bindings=[{"name": "a"}]),
            "set exactly one of secretKeyRef and configMapKeyRef",
            id="binding to nothing",
        ),
        pytest.param(
            revision(bindings=[{"name": "a", "secretKeyRef": KEY, "configMapKeyRef": KEY}]),
            "set exactly one of secretKeyRef and configMapKeyRef",
            id="binding to two",
        ),
        pytest.param(
            revision(bindings=[{"name": "..", "secretKeyRef": KEY}]), "should match",
            id="binding that climbs",
        ),
        pytest.param(
            revision(definition="ä" * 460_801), "exceeds 900 KiB", id="definition too large"
        ),
        pytest.param(
            revision(encoding="Gzip", definition="A" * 1_300_001), "may not be more than 1300000",
            id="compressed definition too large",
        ),
        pytest.param(revision(digest="sha256:12"), "should be at least 71 chars", id="digest"),
        pytest.param(revision(format="TOML"), 'supported values: "DifyDSL"', id="format"),
    ],
)  # fmt: skip
def test_a_revision_is_refused_with_its_remedy(
    refusal: Refusal, obj: dict[str, Any], remedy: str
) -> None:
    assert remedy in refusal(obj)


@pytest.mark.parametrize(
    "field",
    ["workflowName", "revision", "definition", "format", "mediaType", "digest", "contentDigest"],
)
def test_a_revision_needs(refusal: Refusal, field: str) -> None:
    obj = full_revision()
    del obj["spec"][field]
    assert f"spec.{field}: Required value" in refusal(obj)
