"""What a target tells of its paused engine: enough to let its runs go on without the Workflow."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from belay.api.instances import Engine
from belay.api.names import ANNOTATION_ENGINE, ANNOTATION_RUNS, LABEL_PAUSED_BY


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose pause it is, and where what is known of its runs is kept."""

    workflow: str
    runs: str
    """Name of the record, and of the backup."""
    former: str | None = None
    """Name of the backup before, whose runs were not all let go."""
    container: str | None = None
    """The engine's container in the pods of the target."""

    def written(self, owner: str, how: Engine) -> dict[str, dict[str, str]]:
        """Labels and annotations of the target."""
        told = {
            ANNOTATION_ENGINE: _plain(how.to_api(defaults=False)),
            ANNOTATION_RUNS: _plain({k: v for k, v in asdict(self).items() if v is not None}),
        }
        return {"labels": {LABEL_PAUSED_BY: owner}, "annotations": told}


def read_mark(annotations: Mapping[str, str]) -> tuple[Mark, Engine] | None:
    """What a target tells; None where another hand has damaged it."""
    try:
        mark = Mark(**json.loads(annotations[ANNOTATION_RUNS]))
        return mark, Engine.model_validate(json.loads(annotations[ANNOTATION_ENGINE]))
    except (KeyError, TypeError, ValueError, ValidationError):
        return None


def _plain(told: object) -> str:
    return json.dumps(told, separators=(",", ":"))
