"""How a scenario is told: one line for each thing that happens, and how it ends."""

import re
import textwrap
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from tests.scenario.api import Call
from tests.scenario.shapes import CRDS, Object
from tests.unit.shell.virtual_time import clock

from belay.api.names import ANNOTATION_REVISION, LABEL_PAUSED_BY, POINTER_SUFFIX
from belay.shell.errors import NotFound
from belay.shell.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    EVENTS,
    JOBS,
    PODS,
    REVISIONS,
    SECRETS,
    WORKFLOWS,
    WORKLOADS,
)

_WIDTH = 100


@dataclass(slots=True)
class Tale:
    """The lines so far; times count from `begin`."""

    lines: list[str] = field(default_factory=list)
    told: bool = False
    _began: float = 0.0
    _last: str = ""

    def begin(self) -> None:
        self._began, self.told = clock(), True

    def tell(self, who: str, what: str) -> None:
        """One thing that happened now."""
        if not self.told:
            return
        at = f"{clock() - self._began:8.2f}"
        shown = who if who != self._last else ""
        self._last = who
        indent = " " * 20
        text = f"{at}  {shown:<9} {what}"
        self.lines += textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)

    def hear(self, call: Call) -> None:
        """What Belay did, if it was a write or a dry run."""
        told = _told(call)
        if told is not None:
            self.tell(*told)


def _told(call: Call) -> tuple[str, str] | None:  # noqa: C901 - one case for each kind of write
    if isinstance(call.error, NotFound):
        return None
    failed = f", but is refused: {call.error.message}" if call.error is not None else ""
    match call.verb, call.resource:
        case "patch", r if r == WORKFLOWS:
            return "Belay", f"status: {_status(call.body or {})}{failed}"
        case "patch", r if call.dry_run:
            return "Belay", f"asks the server whether {r.kind} {call.name} may change{failed}"
        case "patch" | "create", r if r == CONFIG_MAPS:
            return "Belay", f"{_kept(call)} ConfigMap {call.name}{failed}"
        case "patch", r if r in WORKLOADS.values():
            return "Belay", f"{_delivered(call.body or {})} {r.kind} {call.name}{failed}"
        case "patch", r if r in (JOBS, CRON_JOBS):
            return "Belay", f"{_paused(call.body or {})} {r.kind} {call.name}{failed}"
        case "create", r if r == SECRETS:
            return "Belay", f"stores {call.name}{failed}"
        case "create", r if r == PODS:
            return "Belay", f"creates {call.name}{failed}"
        case "create", r if r == EVENTS and call.error is None and call.body is not None:
            return "event", f"{call.body['type']} {call.body['reason']}: {call.body['note']}"
        case "delete", r if r in (PODS, CONFIG_MAPS, REVISIONS):
            return "Belay", f"deletes {call.resource.kind} {call.name}{failed}"
        case _:
            return None


def _status(body: Object) -> str:
    status = body["status"]
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    active = next(c for c in status["conditions"] if c["type"] == "Active")
    extra = ", Active" if active["status"] == "True" else ""
    return f"{status['phase']}, Ready={ready['status']}{extra} ({ready['reason']})"


def _paused(body: Object) -> str:
    return "pauses" if "spec" in body else "lets go of"


def _delivered(body: Object) -> str:
    if LABEL_PAUSED_BY in (body["metadata"].get("labels") or {}):
        return "marks its engine as paused at"
    if "spec" not in body:
        return "withdraws its fields from"
    revision = body["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REVISION]
    return f"delivers the content of {revision} to"


def _kept(call: Call) -> str:
    if "-instances-" in str(call.name):
        return "accounts for each instance in"
    assert call.body is not None
    if "binaryData" in call.body:
        return "notes runs in"
    if not str(call.name).endswith(POINTER_SUFFIX):
        return "keeps the content in"
    revision = call.body["metadata"]["annotations"][ANNOTATION_REVISION]
    return f"points to the content of {revision} by"


def table(workflow: Object) -> list[str]:
    """What `kubectl get workflows.belay.dev -o wide` prints, without the age."""
    columns = [c for c in _columns() if c["type"] != "date"]
    cells = [(c["name"].upper(), _cell(workflow, c["jsonPath"])) for c in columns]
    cells.insert(0, ("NAME", workflow["metadata"]["name"]))
    widths = [max(map(len, cell)) + 3 for cell in cells]
    return [
        "".join(f"{cell[row]:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for row in (0, 1)
    ]


def conditions(workflow: Object) -> list[str]:
    """The conditions, each with its message."""
    lines = []
    for c in workflow["status"]["conditions"]:
        head = f"{c['type']:<12} {c['status']:<8} {c['reason']}"
        indent = " " * 4
        text = textwrap.wrap(c["message"], _WIDTH - 4, break_on_hyphens=False)
        lines += [head, *(f"{indent}{line}" for line in text)]
    return lines


@cache
def _columns() -> list[Any]:
    text = (CRDS / f"{WORKFLOWS.group}_{WORKFLOWS.plural}.yaml").read_text()
    found: list[Any] = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"][0][
        "additionalPrinterColumns"
    ]
    return found


def _cell(workflow: Object, path: str) -> str:
    """The value of a column's JSONPath; of filters, only those by type are known."""
    value: Any = workflow
    for name, kind in re.findall(r"\.(\w+)(?:\[\?\(@\.type==[\"'](\w+)[\"']\)\])?", path):
        value = (value or {}).get(name)
        if kind:
            value = next((c for c in value or [] if c["type"] == kind), None)
    return "" if value is None else str(value)
