"""What a run was asked for: with it, the run can begin anew, in any process of this engine."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from belay_runner.engine import Definition
from belay_runner.inputs import checked
from belay_runner.problems import Code, Problem


@dataclass(frozen=True, slots=True)
class Origin:
    """Inputs as they came, and who gave them."""

    inputs: Mapping[str, Any]
    user: str

    def text(self) -> str:
        """As it travels in an envelope."""
        return json.dumps({"inputs": self.inputs, "user": self.user}, ensure_ascii=False)

    def system(self, run: str, content_digest: str) -> Mapping[str, Any]:
        """Values of sys."""
        return {
            "user_id": self.user,
            "workflow_id": content_digest,
            "workflow_run_id": run,
            "timestamp": int(time.time()),
            "query": str(self.inputs.get("query") or ""),
        }

    def fitting(self, definition: Definition) -> dict[str, Any]:
        """Its inputs, as this definition takes them. Raises `restartRejected`."""
        try:
            return checked(definition.inputs, self.inputs)
        except Problem as problem:
            raise Problem(Code.RESTART_REJECTED, problem.message, problem.details) from problem


def origin(text: str) -> Origin | None:
    """None where it is none, or that of another version."""
    try:
        told = json.loads(text)
        return Origin(dict(told["inputs"]), str(told["user"]))
    except (ValueError, TypeError, KeyError):
        return None
