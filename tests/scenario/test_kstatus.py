"""What Flux's own kstatus says is what the tests take it to say."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from tests import kstatus
from tests.harness import kstatus_of_flux
from tests.harness.setup import SetupError
from tests.scenario.stage import STORIES, play

Object = dict[str, Any]


def agreed(objects: list[Object]) -> set[str]:
    """What both say; fails at the first object of which they differ."""
    try:
        kstatus_of_flux.program()
    except SetupError as error:
        pytest.skip(f"needs kstatus: {error}")
    found = kstatus_of_flux.compute(objects)
    for obj, said in zip(objects, found, strict=True):
        assert kstatus.compute(obj) == said, obj
    return set(found)


def test_it_says_the_same_of_real_states() -> None:
    """Of some; the next test has all that it may look at."""
    objects = [
        {"apiVersion": "belay.dev/v1alpha1", "kind": "Workflow", **state}
        for name in ("aborted", "caught-at-the-gate", "checked-at-rest")
        for state in play(STORIES[name]).states
    ]
    assert agreed(objects) == {"Current", "InProgress", "Failed"}


def conditioned() -> Iterator[Object]:
    """Objects with any three conditions that it looks at, in any order, and generations."""
    said = ("Ready", "Reconciling", "Stalled")
    for kinds in itertools.permutations(said):
        for statuses in itertools.product(("True", "False", "Unknown", ""), repeat=3):
            conditions = [
                {"type": kind, "status": status, "reason": "R", "message": "m"}
                for kind, status in zip(kinds, statuses, strict=True)
                if status
            ]
            for observed in (-1, 1, 2):
                status: Object = {"observedGeneration": observed, "conditions": conditions}
                metadata = {"name": "wf", "namespace": "shop", "generation": 2}
                yield {
                    "apiVersion": "belay.dev/v1alpha1",
                    "kind": "Workflow",
                    "metadata": metadata,
                    "status": status,
                }


def test_it_says_the_same_of_all_conditions_and_generations() -> None:
    deleted = next(conditioned())
    deleted["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    without = {**deleted, "metadata": {"name": "wf", "generation": 1}}
    del without["status"]
    assert agreed([deleted, without, *conditioned()]) == {*kstatus.Kstatus}
