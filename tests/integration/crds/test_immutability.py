"""What must not change cannot be changed, at any depth."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.harness.cluster import Cluster
from tests.harness.direct import Direct
from tests.integration.crds.conftest import resource_of
from tests.integration.crds.samples import full_revision, workflow

from belay.shell.errors import ApiError
from belay.shell.resources import REVISIONS, WORKFLOWS

Path = tuple[str | int, ...]
Change = Callable[[Any, str | int], None]
Replace = Callable[[dict[str, Any]], str]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every key of an object, at every depth."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (*path, key)
        if isinstance(value[key], dict | list):
            yield from paths(value[key], (*path, key))


def removed(parent: Any, key: str | int) -> None:
    del parent[key]


def renamed(parent: Any, key: str | int) -> None:
    parent[f"{key}s"] = parent.pop(key)


def changed(parent: Any, key: str | int) -> None:
    match parent[key]:
        case bool(value):
            parent[key] = not value
        case "Gzip":
            parent[key] = "Identity"
        case "JSON":
            parent[key] = "YAML"
        case str(text) if text.startswith("sha256:"):
            parent[key] = f"sha256:{'2' * 64}"
        case str(text):
            parent[key] = f"{text}0"
        case _:
            parent[key] = [] if isinstance(parent[key], list) else {}


def applied(change: Change, spec: dict[str, Any], path: Path) -> dict[str, Any]:
    spec = copy.deepcopy(spec)
    parent: Any = spec
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return spec


REVISION = full_revision()
CHANGES = [
    pytest.param(
        applied(change, REVISION["spec"], path),
        id=f"{change.__name__} {'.'.join(map(str, path))}",
    )
    for path in paths(REVISION["spec"])
    for change in (removed, renamed, changed)
    if isinstance(path[-1], str) or change is removed
]


@pytest.fixture
def replace(api: Direct, namespace: str) -> Replace:
    """Replace an object without asking for strictness, and give the refusal."""

    def try_it(obj: dict[str, Any]) -> str:
        with pytest.raises(ApiError) as refused:
            api.replace(resource_of(obj), namespace, obj, validation="Ignore")
        assert refused.value.code == 422
        return refused.value.message

    return try_it


@pytest.fixture(scope="module")
def stored(api: Direct, namespace: str) -> str:
    """The stored revision's resourceVersion."""
    version: str = api.create(REVISIONS, namespace, REVISION)["metadata"]["resourceVersion"]
    return version


@pytest.mark.parametrize("spec", CHANGES)
def test_a_revision_refuses_a_spec_with_a_key(
    replace: Replace, stored: str, spec: dict[str, Any]
) -> None:
    said = replace({**REVISION, "spec": spec})

    assert "spec is immutable" in said or "Required value" in said


@pytest.mark.parametrize("path", [(), ("source",), ("source", "git"), ("bindings", 0)], ids=str)
def test_a_key_that_the_schema_does_not_know_is_not_stored(
    api: Direct, namespace: str, stored: str, path: Path
) -> None:
    def smuggled(parent: Any, key: str | int) -> None:
        parent[key] = "value"

    smuggling = {**REVISION, "spec": applied(smuggled, REVISION["spec"], (*path, "smuggled"))}

    api.replace(REVISIONS, namespace, smuggling, validation="Ignore")

    now = api.get(REVISIONS, namespace, "triage-v1")
    assert now["metadata"]["resourceVersion"] == stored
    assert now["spec"] == REVISION["spec"]


@pytest.mark.parametrize(
    "add",
    [
        {"author": "mai"},
        {"message": "why"},
        {"source": {"file": "triage.yml"}},
        {"bindings": [{"name": "a", "secretKeyRef": {"name": "b", "key": "c"}}]},
    ],
    ids=lambda add: next(iter(add)),
)
def test_a_revision_refuses_a_field_that_it_was_made_without(
    api: Direct, namespace: str, replace: Replace, add: dict[str, Any]
) -> None:
    bare = {**REVISION, "metadata": {"name": "bare-v1"}}
    needed = ("revision", "definition", "format", "mediaType", "digest", "contentDigest")
    bare["spec"] = {name: REVISION["spec"][name] for name in needed} | {"workflowName": "bare"}
    api.apply(REVISIONS, namespace, bare)

    assert "spec is immutable" in replace({**bare, "spec": bare["spec"] | add})


def test_a_revision_says_how_to_publish_a_change(replace: Replace, stored: str) -> None:
    said = replace({**REVISION, "spec": {**REVISION["spec"], "author": "kim"}})

    assert "publish the change as a new revision, under another spec.revision and name" in said


def test_labels_of_a_revision_can_change(cluster: Cluster, namespace: str, stored: str) -> None:
    cluster.kubectl(
        "label", "-n", namespace, "bwr", "triage-v1", "team=support", "--dry-run=server"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"mountPath": "/etc/belay/triage"},
        {"workloads": [{"kind": "Deployment", "name": "other"}]},
        {"workloads": [{"kind": "Deployment", "name": "triage", "container": "app"}]},
        {"workloads": [{"kind": "Deployment", "name": name} for name in ("triage", "other")]},
    ],
    ids=["mount path", "another workload", "a container", "one more workload"],
)
def test_a_workflow_keeps_its_target(
    api: Direct, namespace: str, replace: Replace, change: dict[str, Any]
) -> None:
    obj = workflow()
    api.apply(WORKFLOWS, namespace, obj)

    said = replace(workflow(target={**obj["spec"]["target"], **change}))

    assert "target is immutable" in said
    assert "delete the Workflow (its pods keep running) and create it anew" in said
