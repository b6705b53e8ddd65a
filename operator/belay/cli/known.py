"""The revisions of one Workflow that a cluster knows, and the numbers that come next."""

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from belay.api.revision import WorkflowRevisionSpec
from belay.shell.errors import NotFound
from belay.shell.resources import REVISIONS

if TYPE_CHECKING:  # at run time it costs more than the whole rest of the command
    from belay.shell.cluster import Cluster

_NUMBERED: Final = re.compile(r"v([0-9]{1,9})")
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Known:
    """A revision in the cluster."""

    revision: str
    created: str
    spec: WorkflowRevisionSpec


async def known_revisions(cluster: "Cluster", namespace: str, workflow: str) -> list[Known]:
    """All revisions of the Workflow, oldest first. Only their own bodies are read."""
    listed, _ = await cluster.list_metadata(REVISIONS, namespace)
    names = [item["metadata"]["name"] for item in listed]
    own = [name for name in names if name.rpartition("-")[0] == workflow]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(name: str) -> Known | None:
        async with gate:
            try:
                return _known(await cluster.get(REVISIONS, namespace, name))
            except NotFound:
                return None

    found = await asyncio.gather(*(read(name) for name in own))
    return sorted(
        (known for known in found if known is not None),
        key=lambda known: (known.created, _number(known.revision)),
    )


def next_revision(known: list[Known]) -> str:
    """`v` and the number after the highest."""
    return f"v{max((_number(each.revision) for each in known), default=0) + 1}"


def _number(revision: str) -> int:
    numbered = _NUMBERED.fullmatch(revision)
    return int(numbered[1]) if numbered else 0


def _known(item: dict[str, Any]) -> Known | None:
    try:
        spec = WorkflowRevisionSpec.model_validate(item["spec"])
    except ValidationError:
        return None
    return Known(spec.revision, item["metadata"]["creationTimestamp"], spec)
