"""Iterations and loops: pauses between items, and outputs as if nothing had been.

The engine's events are taken to their end before the dump, which it refuses otherwise.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runner import dsl
from tests.runner.conftest import ALLOWED
from tests.runner.process import Runner, running
from tests.runner.server import Server

SPLIT = dsl.code(
    "split", "def main():\n    return {'items': ['a', 'b', 'c', 'd']}", {"items": "array[string]"}
)
JOIN = dsl.template("join", "{{ all | join('+') }}", all=["each", "output"])


def iteration(server: Server, gate: str, parallel: int, on_error: str = "terminated") -> str:
    """Four items, each of which makes a call that is held at a gate."""
    held = dsl.call("held", f"{server.url}/gate/{gate}")
    each = dsl.iteration(
        "each", ["split", "items"], ["said", "output"], held,
        dsl.template("said", "{{x}}-{{y}}", x=["each", "item"], y=["held", "body"]),
        parallel=parallel, on_error=on_error,
    )  # fmt: skip
    return dsl.app(dsl.start(), SPLIT, *each, JOIN, dsl.end(told=["join", "output"]))


def counting(server: Server, gate: str) -> str:
    """Five rounds, each with a call that is held at a gate; its variables count and collect."""
    counted = dsl.assign("counted", ["again", "count"], "+=", 1)
    said = dsl.assign("said", ["again", "words"], "append", ["held", "body"])
    until = {
        "variable_selector": ["again", "count"],
        "varType": "number",
        "comparison_operator": "≥",
        "value": "5",
    }
    again = dsl.loop(
        "again",
        {"count": ("number", 0), "words": ("array[string]", [])},
        [until],
        dsl.call("held", f"{server.url}/gate/{gate}"),
        counted,
        said,
    )
    told = dsl.template(
        "told", "{{ words | length }} of {{ count }}",
        words=["again", "words"], count=["again", "count"],
    )  # fmt: skip
    return dsl.app(dsl.start(), *again, told, dsl.end(told=["told", "output"]))


@pytest.fixture(scope="module")
def first(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Another process than the one that goes on."""
    with running(python, tmp_path_factory.mktemp("first"), *ALLOWED) as found:
        yield found


def paused_in(first: Runner, text: str, server: Server, gate: str) -> str:
    """A run that was told to pause while it stood in an item or round."""
    first.take(text)
    run = first.begin()
    first.at(run, "held")
    first.pause(run)
    server.open(gate)
    first.paused(run)
    return run


@pytest.mark.parametrize("parallel", [1, 3])
def test_an_iteration_is_paused_between_items_and_ends_in_another_process(
    first: Runner, runner: Runner, server: Server, parallel: int
) -> None:
    gate = f"each-{parallel}"
    text, path = iteration(server, gate, parallel), f"/gate/{gate}"
    run = paused_in(first, text, server, gate)
    before, envelope = server.calls[path], first.envelope(run)
    assert before < 4, "some items are left"
    runner.take(text)
    assert runner.resume(envelope=envelope).status_code == 202
    disturbed = runner.ended(run)["outputs"]
    assert server.calls[path] == 4, "no item was made twice"
    assert disturbed == runner.run()["outputs"]
    assert disturbed == {"told": "+".join(f"{item}-{gate}" for item in "abcd")}


def test_a_loop_is_paused_between_rounds_and_ends_in_another_process(
    first: Runner, runner: Runner, server: Server
) -> None:
    text, path = counting(server, "rounds"), "/gate/rounds"
    run = paused_in(first, text, server, "rounds")
    before, envelope = server.calls[path], first.envelope(run)
    assert before < 5, "some rounds are left"
    runner.take(text)
    assert runner.resume(envelope=envelope).status_code == 202
    disturbed = runner.ended(run)["outputs"]
    assert server.calls[path] == 5, "no round was made twice"
    assert disturbed == runner.run()["outputs"] == {"told": "5 of 5"}


def test_a_parallel_iteration_has_as_many_calls_in_flight_as_it_says(
    runner: Runner, server: Server
) -> None:
    """Two threads serve a run (`--workers`), so two of the three."""
    runner.take(iteration(server, "together", 3))
    run = runner.begin()
    server.arrived("together", 2)
    assert server.calls["/gate/together"] == 2
    server.open("together")
    assert runner.ended(run)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("on_error", "told"),
    [
        ("terminated", ("failed", None)),
        ("remove-abnormal-output", ("partial-succeeded", "b-b+c-c+d-d")),
        ("continue-on-error", ("partial-succeeded", "None+b-b+c-c+d-d")),
    ],
)
def test_an_item_that_fails_counts_as_the_definition_says(
    runner: Runner, server: Server, on_error: str, told: tuple[str, str | None]
) -> None:
    said = dsl.template("said", "{{x}}-{{y}}", x=["each", "item"], y=["called", "output"])
    fails = dsl.template("called", "{{ x if x != 'a' else x.no.such }}", x=["each", "item"])
    each = dsl.iteration(
        "each", ["split", "items"], ["said", "output"], fails, said, on_error=on_error
    )
    runner.take(dsl.app(dsl.start(), SPLIT, *each, JOIN, dsl.end(told=["join", "output"])))
    data = runner.run()
    assert (data["status"], data["outputs"].get("told")) == told
