"""RFC 6902, as far as Belay writes it."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

Raw = dict[str, Any]


def patched(raw: Raw, operations: Iterable[Raw]) -> Raw:
    """The object after the operations; a place that is not there is a KeyError."""
    after = deepcopy(raw)
    for operation in operations:
        *way, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
        place: Any = after
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if operation["op"] != "add":
            place[last]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = deepcopy(operation["value"])
    return after
