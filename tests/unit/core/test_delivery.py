"""What a delivery writes, and how it is recognised again in a live template."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core import world
from tests.unit.core.toy_cluster import applied
from tests.unit.core.world import KEY, view

from belay.api.revision import Binding, Format, KeyRef
from belay.api.status import RevisionRef
from belay.core.delivery import (
    Delivery,
    config_map,
    is_copied,
    owned_by_workflow,
    preview_pod,
    template_patch,
    withdrawal,
)
from belay.core.template_write import deliver
from belay.core.workloads.reading import read_carried, template_hash

BINDINGS = [
    Binding(name="crm-key", secret_key_ref=KeyRef(name="crm", key="token")),
    Binding(name="limits", config_map_key_ref=KeyRef(name="tuning", key="limits.json")),
]


def delivery(ref: RevisionRef | None = None, first: str = "v1") -> Delivery:
    return Delivery(KEY, ref or world.ref("v1"), first, "/etc/belay")


def with_bindings(bindings: list[Binding]) -> RevisionRef:
    return world.ref("v1").model_copy(update={"bindings": bindings})


TEXTS = st.text("abcxyz-", min_size=1, max_size=6)
LABELS = st.dictionaries(st.sampled_from(["app", "tier", "belay.test/x"]), TEXTS, max_size=3)
MOUNTS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["data", "tmp"]), "mountPath": TEXTS}),
    max_size=2,
)
CONTAINERS = st.fixed_dictionaries(
    {"image": TEXTS},
    optional={
        "volumeMounts": MOUNTS,
        "lifecycle": st.fixed_dictionaries(
            {"preStop": st.just({"sleep": {"seconds": 3}})},
            optional={"postStart": st.just({"exec": {"command": ["warm-up"]}})},
        ),
        "env": st.lists(st.fixed_dictionaries({"name": TEXTS, "value": TEXTS}), max_size=2),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"containerPort": st.integers(1, 65535)}, optional={"hostPort": st.integers(1, 99)}
            ),
            max_size=2,
        ),
    },
)


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    """Pod templates of other people, without null where a list or a map stands."""
    containers = draw(st.lists(CONTAINERS, min_size=1, max_size=3))
    spec: dict[str, Any] = {
        "containers": [{"name": f"c{n}", **c} for n, c in enumerate(containers)],
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "initContainers": st.lists(CONTAINERS, max_size=2).map(
                        lambda cs: [{"name": f"i{n}", **c} for n, c in enumerate(cs)]
                    ),
                    "volumes": st.just([{"name": "data", "emptyDir": {}}]),
                    "affinity": st.fixed_dictionaries(
                        {},
                        optional={
                            "podAntiAffinity": st.just({"required": []}),
                            "nodeAffinity": st.just({"required": []}),
                        },
                    ),
                    "topologySpreadConstraints": st.just([{"maxSkew": 1}]),
                    "nodeName": TEXTS,
                    "hostNetwork": st.just(False),
                },
            )
        ),
    }
    metadata: dict[str, Any] = {}
    if draw(st.booleans()):
        metadata["labels"] = draw(LABELS)
    if draw(st.booleans()):
        metadata["annotations"] = draw(LABELS)
    return {"metadata": metadata, "spec": spec}


def workload(template: dict[str, Any]) -> Any:
    return view(world.deployment(template=template), container="c0")


REFS = st.sampled_from([world.ref("v1"), with_bindings(BINDINGS), with_bindings(BINDINGS[:1])])


@given(templates(), REFS)
def test_a_template_without_our_fields_is_the_one_before_them(
    template: dict[str, Any], ref: RevisionRef
) -> None:
    patch = template_patch(workload(template), delivery(ref))["spec"]["template"]
    after = applied(template, patch)
    assert template_hash(after) == template_hash(template)
    assert template_hash(applied(after, None)) == template_hash(template)
    assert read_carried(applied(after, None)) is None


@given(templates(), REFS)
def test_a_delivery_is_recognised_after_the_servers_defaults(
    template: dict[str, Any], ref: RevisionRef
) -> None:
    one = delivery(ref)
    after = workload(applied(template, template_patch(workload(template), one)["spec"]["template"]))
    assert one.arrived_at(after)
    assert not one.arrived_at(workload(template))
    others = [
        delivery(world.ref("v2")),
        delivery(with_bindings([BINDINGS[1]])),
        delivery(ref.model_copy(update={"digest": world.digest("other")})),
    ]
    assert not any(other.arrived_at(after) for other in others)
    assert delivery(ref.model_copy(update={"revision": "v9"})).arrived_at(after)


@given(templates(), st.sampled_from(["image", "label", "volume"]))
def test_any_change_of_others_changes_the_hash(template: dict[str, Any], where: str) -> None:
    changed = deepcopy(template)
    if where == "image":
        changed["spec"]["containers"][0]["image"] += "x"
    elif where == "label":
        changed["metadata"].setdefault("labels", {})["new"] = "1"
    else:
        changed["spec"]["volumes"] = [{"name": "new", "emptyDir": {}}]
    assert template_hash(changed) != template_hash(template)


@given(templates())
def test_the_preview_pod_is_the_template_without_what_others_see(template: dict[str, Any]) -> None:
    labels = set((template["metadata"].get("labels") or {}).items())
    pod = preview_pod(workload(template), delivery(), world.UID, "12-1", 120.0)
    metadata, spec = pod["metadata"], pod["spec"]
    assert metadata["name"] == "wf-1-preview-12-1"
    assert metadata["labels"] == {"belay.dev/preview": "12-1"}
    assert not labels & set(metadata["labels"].items())
    assert set((template["metadata"].get("annotations") or {}).items()) <= set(
        metadata["annotations"].items()
    )
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Workflow", world.UID, False)
    assert spec["activeDeadlineSeconds"] == 180
    assert "podAntiAffinity" not in spec.get("affinity", {})
    assert not {"topologySpreadConstraints", "nodeName"} & spec.keys()
    assert [v["name"] for v in spec["volumes"]].count("belay") == 1
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        assert container["env"][-1] == {"name": "BELAY_PREVIEW", "value": "1"}
        assert not any("hostPort" in port for port in container["ports"])
        assert set(container.get("lifecycle", {"postStart": {}})) == {"postStart"}
    mounted = [c["name"] for c in spec["containers"] if _mounts(c)]
    assert mounted == ["c0"]
    assert read_carried({"metadata": metadata, "spec": spec}) is not None


def _mounts(container: dict[str, Any]) -> bool:
    return any(m["name"] == "belay" for m in container["volumeMounts"])


def test_a_preview_of_a_live_template_carries_the_new_content_only() -> None:
    old = delivery(world.ref("v1"))
    template = applied(world.template(), template_patch(view(), old)["spec"]["template"])
    template["spec"]["containers"][0]["env"] = [{"name": "BELAY_PREVIEW", "value": "0"}]
    raw = world.deployment(template=template)
    new = delivery(world.ref("v2"), "v2")
    pod = preview_pod(view(raw), new, world.UID, "2-1", 60)
    assert pod["metadata"]["annotations"]["belay.dev/revision"] == "v2"
    (container,) = pod["spec"]["containers"]
    assert container["env"] == [{"name": "BELAY_PREVIEW", "value": "1"}]
    assert container["volumeMounts"] == [new.mount]
    assert pod["spec"]["volumes"] == [new.volume]


def test_only_our_fields_are_applied_and_nothing_of_time_or_rollout() -> None:
    body = template_patch(view(), delivery())
    assert (body["apiVersion"], body["kind"]) == ("apps/v1", "Deployment")
    guards = {"uid": "uid-of-triage", "resourceVersion": "7"}
    assert body["metadata"] == {"name": "triage", "namespace": "shop", **guards}
    template = body["spec"]["template"]
    assert set(body["spec"]) == {"template"}
    assert set(template) == {"metadata", "spec"}
    assert set(template["spec"]) == {"volumes", "containers"}
    assert template["metadata"]["annotations"] == {
        "belay.dev/current": json.dumps(
            {
                "digest": world.ref().digest,
                "contentDigest": world.ref().content_digest,
                "file": "definition.yaml",
            },
            separators=(",", ":"),
        ),
        "belay.dev/content-digest": world.ref().content_digest,
        "belay.dev/revision": "v1",
    }
    assert withdrawal(view(), "shop") == {k: v for k, v in body.items() if k != "spec"}


def test_the_volume_holds_pointer_definition_and_bindings() -> None:
    volume = delivery(with_bindings(BINDINGS)).volume
    folder = "revisions/" + world.ref().content_digest.removeprefix("sha256:")[:16]
    pointer, content, secret, plain = volume["projected"]["sources"]
    assert pointer["downwardAPI"]["items"][0] == {
        "path": "current.json",
        "fieldRef": {"fieldPath": "metadata.annotations['belay.dev/current']"},
    }
    assert content["configMap"]["items"] == [
        {"key": "definition.yaml", "path": f"{folder}/definition.yaml"}
    ]
    assert secret == {
        "secret": {
            "name": "crm",
            "items": [{"key": "token", "path": f"{folder}/bindings/crm-key"}],
        }
    }
    assert plain == {
        "configMap": {
            "name": "tuning",
            "items": [{"key": "limits.json", "path": f"{folder}/bindings/limits"}],
        }
    }


@pytest.mark.parametrize(
    ("format_", "name"),
    [
        (Format.DIFY, "definition.yaml"),
        (Format.YAML, "definition.yaml"),
        (Format.JSON, "definition.json"),
    ],
)
def test_the_config_map_is_immutable_owned_and_named_after_its_content(
    format_: Format, name: str
) -> None:
    ref = world.ref().model_copy(update={"format": format_})
    body = config_map(delivery(ref), "text\r\n", [view(), view(found=False, name="gone")])
    assert (body["apiVersion"], body["kind"]) == ("v1", "ConfigMap")
    assert body["metadata"]["name"] == f"wf-1-{ref.content_digest[7:23]}"
    assert body["immutable"] is True
    assert body["data"] == {name: "text\r\n"}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}
    assert body["metadata"]["ownerReferences"] == [{**owner, "uid": "uid-of-triage"}]


def owning(operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": "x", "operation": operation, "fieldsV1": fields}


OWNED = {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:belay.dev/current": {}}}}}}


@pytest.mark.parametrize(
    ("entries", "copied"),
    [
        ([], False),
        ([owning("Apply", OWNED)], False),
        ([owning("Update", OWNED)], True),
        ([owning("Update", {"f:spec": {"f:template": {}}})], False),
        ([owning("Update", {})], False),
        ([owning("Apply", OWNED), owning("Update", OWNED)], True),
    ],
)
def test_a_copied_template_is_known_by_whose_hand_wrote_our_fields(
    entries: list[dict[str, Any]], copied: bool
) -> None:
    raw = world.deployment()
    assert not is_copied(view(raw))
    patch = template_patch(view(), delivery())["spec"]["template"]
    raw["spec"]["template"] = applied(raw["spec"]["template"], patch)
    raw["metadata"]["managedFields"] = entries
    assert is_copied(view(raw)) is copied
    assert deliver(view(raw), delivery()).force is copied
    assert not is_copied(view(found=False))


def test_what_is_made_for_a_workflow_goes_with_it() -> None:
    assert owned_by_workflow("wf-1", "uid") == {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "Workflow",
        "name": "wf-1",
        "uid": "uid",
        "controller": False,
        "blockOwnerDeletion": False,
    }
