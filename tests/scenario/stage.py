"""Playing a story: calm for the golden text, or in bad weather for how it ends."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.scenario import tale
from tests.scenario.machine import Weather
from tests.scenario.scene import Scene
from tests.scenario.shapes import Object
from tests.unit.shell.virtual_time import VirtualLoop

from belay.shell.resources import WORKFLOWS

Plot = Callable[[Scene], Awaitable[None]]


class _Loop(VirtualLoop):
    """Work takes a little time, and what is given to a thread is done at once."""

    def _run_once(self) -> None:
        # Else a timer that rings a rounding error too early is set again, for ever.
        self.selector.now += 1e-7
        super()._run_once()  # type: ignore[misc]

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as a thread does
            future.set_exception(error)
        return future


@dataclass(frozen=True, slots=True)
class Story:
    """What people do, and what it shows."""

    name: str
    title: str
    about: str
    plot: Plot


STORIES: dict[str, Story] = {}
"""All stories by the name of their file; filled by the modules of `plots`."""


def story(title: str, about: str) -> Callable[[Plot], Plot]:
    """Enter a plot among the stories."""

    def enter(plot: Plot) -> Plot:
        name = getattr(plot, "__name__", "").replace("_", "-")
        STORIES[name] = Story(name, title, " ".join(about.split()), plot)
        return plot

    return enter


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: what must be the same in any weather."""

    phase: str
    active: str
    stable: str
    conditions: tuple[tuple[str, str, str], ...]
    quarantined: tuple[tuple[str, str], ...]
    history: tuple[tuple[str, str, str | None], ...]
    runs: tuple[tuple[str, int], ...]
    kept: tuple[str, ...]
    """Of the contents that have a role or run: those whose ConfigMaps are there."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a story."""

    ending: Ending
    text: str
    writes: int
    restarts: int
    states: tuple[Object, ...]
    """Each state of a Workflow that others could have read."""


def play(of: Story, weather: Weather | None = None) -> Run:
    """Play a story from the beginning. Raises where a pass of the operator failed."""
    random.seed(0)  # Watches come back after a pause with jitter.
    with _no_broken_pass(), asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(_play(of, weather or Weather()))


async def _play(of: Story, weather: Weather) -> Run:
    scene = Scene(weather)
    plot = asyncio.ensure_future(of.plot(scene))
    outside = {t for t in (asyncio.current_task(), plot) if t is not None}
    machine = asyncio.create_task(scene.machine.run(lambda: outside))
    outside.add(machine)
    await asyncio.wait({plot, machine}, return_when=asyncio.FIRST_COMPLETED)
    if machine.done():
        await machine
    await plot
    await scene.passes(20)
    ending = _ending(scene)
    text = _text(of, scene)
    states = tuple(scene.server.states(WORKFLOWS))
    run = Run(ending, text, scene.machine.writes, scene.machine.restarts, states)
    await scene.machine._die(outside)
    machine.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await machine
    return run


def _ending(scene: Scene) -> Ending:
    status = scene.seen()["status"]
    running = {what.partition(": ")[2].partition(",")[0] for what in scene.runs()}
    roles = {status[role]["contentDigest"] for role in ("active", "stable") if role in status}
    return Ending(
        phase=status["phase"],
        active=status.get("activeRevision", ""),
        stable=status.get("stableRevision", ""),
        conditions=tuple((c["type"], c["status"], c["reason"]) for c in status["conditions"]),
        quarantined=tuple((q["revision"], q["reason"]) for q in status.get("quarantine") or []),
        history=tuple(
            (h["id"], h["outcome"], h.get("reason")) for h in status.get("history") or []
        ),
        runs=tuple(scene.runs().items()),
        kept=tuple(sorted((running | scene.named(roles)) & set(scene.kept()))),
    )


def _text(of: Story, scene: Scene) -> str:
    workflow = scene.seen()
    runs = [f"{what}, {count} pods" for what, count in scene.runs().items()]
    quarantined = workflow["status"].get("quarantine") or []
    parts = [
        f"# {of.title}",
        of.about,
        _block(scene.tale.lines),
        "At the end:",
        _block([*tale.table(workflow), "", *tale.conditions(workflow)]),
        f"Running: {'; '.join(runs) or 'nothing'}. Contents kept: {', '.join(scene.kept())}.",
        f"Quarantined: {', '.join(q['revision'] for q in quarantined) or 'nothing'}.",
        f"Writes by Belay, events included: {scene.machine.writes}.",
    ]
    return "\n\n".join(parts) + "\n"


def _block(lines: list[str]) -> str:
    return "\n".join(f"    {line}".rstrip() for line in lines)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def _no_broken_pass() -> Iterator[None]:
    """Errors in the operator's log are errors of the run."""
    errors, root = _Errors(), logging.getLogger("belay")
    root.addHandler(errors)
    try:
        yield
    finally:
        root.removeHandler(errors)
    if errors.records:
        first: Any = errors.records[0]
        cause = first.exc_info[1] if first.exc_info else None
        raise AssertionError(first.getMessage()) from cause
