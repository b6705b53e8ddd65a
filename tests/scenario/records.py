"""What the API server model keeps and tells."""

from dataclasses import dataclass

from tests.scenario.ownership import Entry, Path
from tests.scenario.shapes import Object

from belay.shell.resources import Resource

Id = tuple[Resource, str, str]
"""Resource, namespace, name."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change, as a watch tells it."""

    version: int
    kind: str
    """ADDED, MODIFIED or DELETED."""
    id: Id
    body: Object


@dataclass(slots=True)
class Stored:
    """One object and who owns its fields, since when. Neither is ever changed in place."""

    body: Object
    owners: dict[Entry, frozenset[Path]]
    times: dict[Entry, str]


@dataclass(frozen=True, slots=True)
class Write:
    """How a write is made."""

    entry: Entry
    force: bool = False
    dry_run: bool = False
