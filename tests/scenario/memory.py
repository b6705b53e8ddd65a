"""What an operator process keeps in memory, found by walking from its parts."""

import asyncio
import gc
from collections import Counter
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from tests.scenario.machine import Machine

from belay.core.keys import Key
from belay.shell.revisions import RevisionCache

_OUTSIDE: Final = (type, ModuleType, FunctionType, CodeType, RevisionCache)
"""Code, and what is bounded by number."""


def kept(machine: Machine) -> list[Any]:
    """All objects that the parts of the present process lead to, code and the loop aside."""
    parts = machine.parts
    roots = [machine.reconciler, parts.queue, parts.targets, parts.revisions, parts.metrics]
    found: dict[int, Any] = {}
    left: list[Any] = list(roots)
    aside = {id(machine), id(machine.server), id(parts.cluster)}
    while left:
        one = left.pop()
        skipped = isinstance(one, (*_OUTSIDE, asyncio.AbstractEventLoop, asyncio.Future))
        if id(one) in found or id(one) in aside or skipped:
            continue
        found[id(one)] = one
        left += gc.get_referents(one)
    return list(found.values())


def keys(machine: Machine) -> set[Key]:
    """The Workflows that something in memory still names."""
    return {one for one in kept(machine) if isinstance(one, Key)}


def census(machine: Machine) -> Counter[str]:
    """How many objects of Belay's own classes are in memory, and how many tasks run."""
    counted = Counter(
        type(one).__qualname__ for one in kept(machine) if type(one).__module__.startswith("belay")
    )
    counted["tasks"] = len(asyncio.all_tasks())
    return counted
