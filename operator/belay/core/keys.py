"""How a Workflow is called inside the program."""

from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name of a Workflow."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
