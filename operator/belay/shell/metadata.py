"""Lists of metadata, of which only what somebody reads becomes Python objects.

Most of an object's metadata is `managedFields`: to read 10,000 Workflows without them takes a
sixth of the processor time.
"""

from typing import Any, Final

from pydantic import TypeAdapter
from typing_extensions import TypedDict


class _Metadata(TypedDict, total=False):
    name: str
    namespace: str
    uid: str
    resourceVersion: str
    creationTimestamp: str
    labels: dict[str, str]


class _Item(TypedDict):
    metadata: _Metadata


class _Page(TypedDict, total=False):
    metadata: dict[str, Any]
    items: list[_Item] | None


_PAGE: Final = TypeAdapter(_Page)


def read_page(text: bytes) -> dict[str, Any]:
    """A page of a PartialObjectMetadataList. Raises `ValueError`."""
    return {**_PAGE.validate_json(text)}
