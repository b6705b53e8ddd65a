"""How the API server says no, as the cluster adapter hears it."""

from typing import Any

from tests.scenario import ownership
from tests.scenario.records import Id

from belay.shell.errors import ApiError, translate


def refused(
    code: int, reason: str, message: str, causes: list[dict[str, Any]] | None = None
) -> ApiError:
    """The error of an answer, as the cluster adapter makes it."""
    body = {"reason": reason, "message": message, "details": {"causes": causes or []}}
    return translate(code, body, None)


def conflict(lost: list[ownership.Conflict]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{c.entry.manager}"',
            "field": c.field,
        }
        for c in lost
    ]
    message = f"Apply failed with {len(lost)} conflict(s)"
    return refused(409, "Conflict", message, causes)


def invalid(id_: Id, wrong: list[tuple[str, str]]) -> ApiError:
    causes = [{"field": field_, "message": message} for field_, message in wrong]
    told = ", ".join(f"{field_}: {message}" for field_, message in wrong)
    return refused(422, "Invalid", f'{id_[0].kind} "{id_[2]}" is invalid: {told}', causes)


def not_found(id_: Id) -> ApiError:
    return refused(404, "NotFound", f"{told(id_)} not found")


def told(id_: Id) -> str:
    resource, _, name = id_
    group = f".{resource.group}" if resource.group else ""
    return f'{resource.plural}{group} "{name}"'
