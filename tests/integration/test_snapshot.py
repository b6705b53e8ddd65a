"""`belay snapshot` against a real API server."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bad_files import BAD
from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError
from tests.samples import REAL_EXPORTS, TRIAGE
from typer.testing import CliRunner, Result

from belay.api.revision import WorkflowRevisionSpec
from belay.cli.app import app
from belay.core.revisions.revision import Verified, verify

ODD = "\ufeff# first\r\na: 'é😀 \u2028'\r\n\r\nb: |\r\n  text\r\n"
SAMPLE = 3
"""Real exports that a run of `make test` takes through the cluster in each form."""

Belay = Callable[..., Result]


@pytest.fixture
def belay(cluster: Cluster, crds: None, namespace: str) -> Belay:
    """`belay snapshot` for the Workflow `triage` in the test's namespace."""

    def invoke(*arguments: str | Path) -> Result:
        where = ["--kubeconfig", cluster.kubeconfig, "--namespace", namespace]
        command = ["snapshot", "--workflow", "triage", *where, *arguments]
        return CliRunner().invoke(app, [str(argument) for argument in command])

    return invoke


@pytest.fixture
def stored(cluster: Cluster, namespace: str) -> Callable[[], dict[str, WorkflowRevisionSpec]]:
    """The revisions in the test's namespace, by the names of their objects."""

    def read() -> dict[str, WorkflowRevisionSpec]:
        items = cluster.get("workflowrevisions.belay.dev", "--namespace", namespace)["items"]
        return {
            item["metadata"]["name"]: WorkflowRevisionSpec.model_validate(item["spec"])
            for item in items
        }

    return read


Stored = Callable[[], dict[str, WorkflowRevisionSpec]]


def sample(name: str) -> Path:
    return TRIAGE / f"{name}.yml"


@pytest.fixture
def real(seed: int, request: pytest.FixtureRequest) -> list[Path]:
    """All real exports in a full run, else some by the seed."""
    if request.config.getoption("--full"):
        return REAL_EXPORTS
    rng = random.Random(f"{seed}-{request.node.name}")
    return rng.sample(REAL_EXPORTS, min(SAMPLE, len(REAL_EXPORTS)))


@pytest.mark.parametrize("compress", [[], ["--gzip"]], ids=["plain", "gzip"])
def test_both_digests_survive_every_way_into_the_cluster(
    cluster: Cluster,
    namespace: str,
    belay: Belay,
    stored: Stored,
    tmp_path: Path,
    compress: list[str],
    real: list[Path],
) -> None:
    odd = tmp_path / "odd.yml"
    odd.write_bytes(ODD.encode())
    files = [*(sample(f"v{number}") for number in (1, 2, 3, 4)), odd, *real]
    ways = {
        "c": ["create"],
        "a": ["apply"],
        "s": ["apply", "--server-side"],
    }
    made: dict[str, tuple[Path, WorkflowRevisionSpec]] = {}
    for way, command in ways.items():
        manifests = []
        for number, file in enumerate(files):
            revision = f"{way}{number}"
            options = ["--revision", revision, "--secret-name", "keys", *compress]
            printed = belay("-f", file, *options)
            assert printed.exit_code == 0, printed.stderr
            manifests.append(printed.stdout)
            body = yaml.safe_load(printed.stdout)
            spec = WorkflowRevisionSpec.model_validate(body["spec"])
            made[f"triage-{revision}"] = (file, spec)
        cluster.kubectl(*command, "--filename", "-", stdin="---\n".join(manifests))
    found = stored()
    assert found.keys() == made.keys()
    for name, (file, spec) in made.items():
        verified = verify(found[name])
        assert isinstance(verified, Verified), (name, verified)
        assert (found[name].digest, found[name].content_digest) == (
            spec.digest,
            spec.content_digest,
        )
        if not spec.bindings:
            assert verified.content == file.read_bytes()


def test_revisions_are_numbered_on_and_told(belay: Belay, stored: Stored) -> None:
    first, second = belay("-f", sample("v1"), "--apply"), belay("-f", sample("v2"), "--apply")
    assert first.stdout.startswith("triage-v1 created: 9 nodes, 8 edges, 12.1 KiB, sha256:")
    assert second.stdout.splitlines()[1] == (
        '1 node changed since v1 (template-transform "Reply about billing": template)'
    )
    assert belay("-f", sample("v3"), "--revision", "v10", "--apply").exit_code == 0
    printed = belay("-f", TRIAGE / "workflow.yaml")
    assert yaml.safe_load(printed.stdout)["metadata"]["name"] == "triage-v11"
    assert stored().keys() == {"triage-v1", "triage-v2", "triage-v10"}


def test_numbers_of_another_workflow_do_not_count(belay: Belay, stored: Stored) -> None:
    for workflow in ("triage-v7", "tri"):
        belay("-f", sample("v1"), "--apply", "--workflow", workflow)
    belay("-f", sample("v1"), "--apply")
    assert stored().keys() == {"triage-v7-v1", "tri-v1", "triage-v1"}


def test_what_the_importer_creates_is_managed_by_belay(
    cluster: Cluster, namespace: str, belay: Belay
) -> None:
    belay("-f", sample("v1"), "--apply", "-m", "first", "--author", "Ann")
    made = cluster.get("workflowrevisions.belay.dev/triage-v1", "--namespace", namespace)
    assert made["metadata"]["labels"] == {
        "belay.dev/workflow": "triage",
        "belay.dev/managed": "true",
    }
    assert (made["spec"]["message"], made["spec"]["author"]) == ("first", "Ann")
    assert made["spec"]["source"]["file"].endswith("v1.yml")


def test_content_that_exists_creates_nothing_and_is_named(belay: Belay, stored: Stored) -> None:
    belay("-f", sample("v2"), "--apply")
    before = stored()
    again, moved = belay("-f", sample("v2"), "--apply"), belay("-f", sample("v4"), "--apply")
    digest = before["triage-v1"].digest[:15]
    assert again.exit_code == moved.exit_code == 0
    assert again.stdout == f"triage-v1 has this content already ({digest}): nothing created\n"
    assert moved.stdout == (
        f"triage-v1 has this content already ({digest}); only the layout differs: nothing created\n"
    )
    assert belay("-f", sample("v4")).stdout == ""
    assert stored() == before


def test_a_new_name_for_known_content_is_created_and_its_twin_named(
    belay: Belay, stored: Stored
) -> None:
    belay("-f", sample("v2"), "--apply")
    twin = belay("-f", sample("v4"), "--apply", "--revision", "hotfix.1")
    assert twin.exit_code == 0
    assert twin.stdout.splitlines()[1] == "triage-hotfix.1 has the content of v1"
    one, two = stored()["triage-v1"], stored()["triage-hotfix.1"]
    assert one.digest == two.digest
    assert one.content_digest != two.content_digest


def test_a_name_is_never_given_twice(belay: Belay, stored: Stored) -> None:
    belay("-f", sample("v1"), "--apply", "--revision", "v1")
    before = stored()
    same = belay("-f", sample("v1"), "--apply", "--revision", "v1")
    other = belay("-f", sample("v2"), "--apply", "--revision", "v1")
    assert (same.exit_code, other.exit_code) == (0, 1)
    assert "triage-v1 has this content already" in same.stdout
    assert "triage-v1 exists with other content" in other.stderr
    assert "give another --revision" in other.stderr
    assert stored() == before


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_writes_nothing(belay: Belay, stored: Stored, tmp_path: Path, name: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_bytes(BAD[name][0])
    for options in ([], ["--revision", "v1"]):
        result = belay("-f", file, "--apply", *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1
    assert stored() == {}


def test_a_secret_never_reaches_the_cluster(
    cluster: Cluster, namespace: str, belay: Belay, tmp_path: Path
) -> None:
    key = "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2"
    file = tmp_path / "app.yml"
    file.write_text(f"steps:\n- api_key: {key}  # for the CRM\n")
    refused = belay("-f", file, "--apply")
    assert refused.exit_code == 2
    assert "steps[0].api_key (looks like a key)" in refused.stderr
    made = belay("-f", file, "--apply", "--secret-name", "crm")
    assert made.exit_code == 0
    kept = cluster.get("workflowrevisions.belay.dev/triage-v1", "--namespace", namespace)
    assert key not in json.dumps(kept) + made.output + refused.output
    assert kept["spec"]["definition"].endswith("  # for the CRM\n")
    (binding,) = kept["spec"]["bindings"]
    assert binding["secretKeyRef"] == {"name": "crm", "key": binding["name"]}


def test_a_large_definition_needs_server_side_apply_or_gzip(
    cluster: Cluster, belay: Belay, stored: Stored, tmp_path: Path
) -> None:
    file = tmp_path / "app.yml"
    lines = (f"k{number}: some text that is repeated\n" for number in range(9000))
    file.write_text("".join(lines))
    plain = belay("-f", file, "--revision", "v1")
    assert "kubectl apply --server-side" in plain.stderr
    with pytest.raises(SetupError, match="Too long"):
        cluster.kubectl("apply", "--filename", "-", stdin=plain.stdout)
    cluster.kubectl("apply", "--server-side", "--filename", "-", stdin=plain.stdout)
    packed = belay("-f", file, "--revision", "v2", "--gzip")
    cluster.kubectl("apply", "--filename", "-", stdin=packed.stdout)
    for spec in stored().values():
        verified = verify(spec)
        assert isinstance(verified, Verified)
        assert verified.content == file.read_bytes()


def test_the_largest_definition_that_is_read_can_be_stored(
    belay: Belay, stored: Stored, tmp_path: Path
) -> None:
    file = tmp_path / "app.yml"
    head = "a: "
    file.write_text(head + "x" * (900 * 1024 - len(head)))
    made = belay("-f", file, "--apply")
    assert made.exit_code == 0, made.stderr
    assert isinstance(verify(stored()["triage-v1"]), Verified)


def test_a_namespace_that_is_not_there_is_told(belay: Belay) -> None:
    result: Any = belay("-f", sample("v1"), "--apply", "--namespace", "nowhere")
    assert result.exit_code == 1
    assert 'namespaces "nowhere" not found' in result.stderr
