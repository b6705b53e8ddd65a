"""docs/engine-contract.yaml as a judge of answers."""

import re
from functools import cache
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator
from tests.harness.setup import ROOT

_FILE = ROOT / "docs/engine-contract.yaml"
_VERBS = ("get", "put", "post", "delete")


class NotInContract(AssertionError):
    """The engine answered what its contract does not say."""


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    return found


@cache
def operations() -> dict[str, tuple[str, str]]:
    """OperationId -> (verb, path)."""
    return {
        told["operationId"]: (verb, path)
        for path, item in document()["paths"].items()
        for verb, told in item.items()
        if verb in _VERBS
    }


def check(response: httpx.Response) -> str:
    """The operation that was called; raises where the answer is not one of it."""
    verb, path = response.request.method.lower(), response.request.url.path
    name = next((n for n, told in operations().items() if _is(told, verb, path)), None)
    if name is None:
        raise NotInContract(f"no operation {verb} {path}")
    _, template = operations()[name]
    told = document()["paths"][template][verb]["responses"].get(str(response.status_code))
    if told is None:
        raise NotInContract(f"{name} may not answer {response.status_code}: {response.text}")
    if "$ref" in told:
        told = document()["components"]["responses"][told["$ref"].rpartition("/")[2]]
    schema = (told.get("content") or {}).get("application/json", {}).get("schema")
    if schema is not None:
        _validate(schema, response.json(), f"{name} {response.status_code}")
    if response.status_code in (429, 503) and "readyz" not in path:
        assert response.headers["retry-after"], "429 and 503 say when to come back"
    return name


def _validate(schema: dict[str, Any], body: Any, where: str) -> None:
    whole = {**schema, "components": document()["components"]}
    faults = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(
            whole, format_checker=Draft202012Validator.FORMAT_CHECKER
        ).iter_errors(body)
    ]
    if faults:
        raise NotInContract(f"{where}: {'; '.join(faults)}\n{body}")


def _is(told: tuple[str, str], verb: str, path: str) -> bool:
    known, template = told
    pattern = re.escape(template).replace(r"\{id\}", "[^/:]+")
    return verb == known and re.fullmatch(pattern, path) is not None
