"""`belay snapshot` without a cluster: what it prints, refuses and records."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.bad_files import BAD
from tests.unit.revisions.graphs import EDGE, NODE, graph_copy, put
from typer.testing import CliRunner, Result

from belay.api.revision import WorkflowRevisionSpec
from belay.cli.app import app
from belay.core.revisions.revision import Verified, verify

KEY = "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2"


def belay(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["snapshot", "--workflow", "triage", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.yml"
    path.write_text(json.dumps(graph_copy()))
    return path


def spec_in(result: Result) -> WorkflowRevisionSpec:
    assert result.exit_code == 0, result.output
    return WorkflowRevisionSpec.model_validate(yaml.safe_load(result.stdout)["spec"])


@pytest.mark.parametrize("option", [[], ["--gzip"]])
def test_a_manifest_to_commit_is_printed(file: Path, option: list[str]) -> None:
    result = belay("-f", file, "--revision", "v2", "-m", "why", "--author", "Ann", *option)
    spec = spec_in(result)
    verified = verify(spec)
    assert isinstance(verified, Verified)
    assert verified.content == file.read_bytes()
    assert (spec.message, spec.author, spec.workflow_name) == ("why", "Ann", "triage")
    assert yaml.safe_load(result.stdout)["metadata"] == {
        "name": "triage-v2",
        "labels": {"belay.dev/workflow": "triage"},
    }
    assert result.stderr.startswith("triage-v2 printed, not created: 4 nodes, 2 edges, ")


def test_the_commit_and_the_author_come_from_git(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "flows").mkdir()
    file = tmp_path / "flows" / "app.yml"
    file.write_text("a: 1\n")
    for setting in ("user.name=Ann Example", "user.email=ann@example.com"):
        if not (tmp_path / ".git").exists():
            git("init", "--quiet")
        git("config", *setting.split("=", 1))
    assert spec_in(belay("-f", file, "--revision", "v1")).source.git is None  # type: ignore[union-attr]
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    clean = spec_in(belay("-f", file, "--revision", "v1"))
    file.write_text("a: 2\n")
    dirty = spec_in(belay("-f", file, "--revision", "v1"))
    assert clean.author == "Ann Example <ann@example.com>"
    assert clean.source is not None
    assert clean.source.file == "flows/app.yml"
    assert clean.source.git is not None
    assert (clean.source.git.commit, clean.source.git.dirty) == (git("rev-parse", "HEAD"), False)
    assert dirty.source is not None
    assert dirty.source.git is not None
    assert dirty.source.git.dirty


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_exit_code_2(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    file = tmp_path / "app.yml"
    file.write_bytes(content)
    result = belay("-f", file, "--revision", "v1")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{file}: ")
    assert message in result.stderr


def test_several_problems_name_the_first_and_count_the_others(tmp_path: Path) -> None:
    file = tmp_path / "app.yml"
    document = put(put(graph_copy(), (*EDGE, 0, "target"), "9"), (*EDGE, 1, "source"), "8")
    file.write_text(json.dumps(document, indent=1))
    assert belay("-f", file, "--revision", "v1").stderr.endswith(" (and 1 more)\n")


def test_secrets_in_clear_stop_the_import_and_each_place_is_named(file: Path) -> None:
    document = put(graph_copy(), ("workflow", "environment_variables", 0, "value"), "s3cret")
    put(document, (*NODE, 2, "data", "authorization"), {"config": {"api_key": KEY}})
    file.write_text(json.dumps(document))
    result = belay("-f", file, "--revision", "v1")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == (
        f'{file}: 2 secrets in clear: environment_variables[0] "CRM_KEY" (secret), '
        'node llm "draft" authorization.config.api_key (looks like a key).'
    )
    assert "--secret-name NAME" in result.stderr
    assert KEY not in result.output


def test_with_a_secret_name_the_values_become_bindings(file: Path) -> None:
    document = put(graph_copy(), (*NODE, 2, "data", "authorization"), {"config": {"api_key": KEY}})
    file.write_text(json.dumps(document))
    result = belay("-f", file, "--revision", "v1", "--secret-name", "crm", "-n", "flows")
    spec = spec_in(result)
    assert KEY not in result.output
    assert [binding.name for binding in spec.bindings] == ["API_KEY_3", "CRM_KEY"]
    assert result.stderr.splitlines()[-1] == (
        "kubectl -n flows create secret generic crm "
        '--from-literal=API_KEY_3="$API_KEY_3" --from-literal=CRM_KEY="$CRM_KEY"'
    )
    assert isinstance(verify(spec), Verified)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--revision", "v-1"], "--revision 'v-1': at most 24 lower-case letters and digits"),
        (["--revision", "v1", "--workflow", "Triage"], "--workflow 'Triage': at most 52"),
        (["--revision", "v1", "--message", "x" * 4097], "at most 4096 characters"),
        (["--revision", "v1", "--secret-name", "No"], "--secret-name 'No': the name of a Secret"),
        (["--revision", "v1", "--format", "JSON"], None),
    ],
)
def test_bad_options_say_what_would_be_right(
    file: Path, options: list[str], message: str | None
) -> None:
    result = belay("-f", file, *options)
    assert result.exit_code == (0 if message is None else 2)
    if message is not None:
        assert message in result.stderr
        assert result.stdout == ""


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    result = belay("-f", tmp_path / "none.yml", "--revision", "v1")
    assert (result.exit_code, result.stderr) == (
        2,
        f"{tmp_path / 'none.yml'}: No such file or directory\n",
    )


def test_without_a_cluster_a_number_cannot_be_given(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    result = belay("-f", file, "--kubeconfig", config)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("no cluster answers: ")
    assert result.stderr.endswith("; with --revision none is needed\n")


def test_a_large_file_names_server_side_apply(tmp_path: Path) -> None:
    file = tmp_path / "app.yml"
    file.write_text("a: " + "x" * 300_000)
    result = belay("-f", file, "--revision", "v1")
    assert spec_in(result).definition == file.read_text()
    assert "--server-side" in result.stderr
    assert "ServerSideApply=true" in result.stderr
    assert "--server-side" not in belay("-f", file, "--revision", "v1", "--gzip").stderr
