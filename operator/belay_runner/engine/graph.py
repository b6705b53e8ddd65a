"""A definition as graphon's graph, and one run of it."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphon.dsl import inspect
from graphon.dsl.entities import DslCredentials, LoadStatus
from graphon.engine import Engine
from graphon.engine.command.builtin.in_memory import InMemoryChannel
from graphon.engine.command.entities import AbortCommand, PauseCommand
from graphon.engine_events.base import EngineEvent
from graphon.engine_events.graph import (
    GraphRunAbortedEvent,
    GraphRunFailedEvent,
    GraphRunPartialSucceededEvent,
    GraphRunPausedEvent,
    GraphRunSucceededEvent,
)
from graphon.engine_events.node import (
    NodeRunExceptionEvent,
    NodeRunFailedEvent,
    NodeRunRetryEvent,
    NodeRunStartedEvent,
    NodeRunSucceededEvent,
)
from graphon.enums import BuiltinNodeTypes
from graphon.file.models import File
from graphon.graph.graph import Graph
from graphon.runtime.init_params import InitParams
from graphon.runtime.runtime_state import RuntimeState
from graphon.runtime.variable_pool import VariablePool
from graphon.variables.segments import Segment

from belay_runner.engine.nodes import Nodes
from belay_runner.engine.state import Variable, add_env, without_env
from belay_runner.inputs import Variable as Input
from belay_runner.progress import NodeBegan, NodeEnded, Progress, State, Stood
from belay_runner.tools import Tools

_ENDS: Final[Mapping[type[EngineEvent], State]] = {
    GraphRunSucceededEvent: State.SUCCEEDED,
    GraphRunPartialSucceededEvent: State.PARTIAL,
    GraphRunFailedEvent: State.FAILED,
    GraphRunAbortedEvent: State.STOPPED,
    GraphRunPausedEvent: State.PAUSED,
}
_FAILED_NODES: Final = (NodeRunFailedEvent, NodeRunExceptionEvent)
_DEEPEST: Final = 40


class Invalid(Exception):
    """The definition cannot be run; the message is for people."""


class Rejected(Exception):
    """The state does not fit the graph, or cannot be read."""


class Definition:
    """A DSL file, parsed once. Nodes are bound to one run's state, so each run builds its graph."""

    def __init__(self, text: str, tools: Tools) -> None:
        self._tools = tools
        try:
            plan = inspect(text)
        except Exception as error:
            raise Invalid(str(error)) from error
        graph = plan.document.graph_config
        if plan.load_status != LoadStatus.LOADABLE or graph is None:
            raise Invalid(plan.load_reason or "it holds no graph that can be run")
        self._graph, self._dependencies = graph, list(plan.dependencies)
        self._variables = plan.document.runtime_variables
        self._start = self._only_start()
        self.inputs = tuple(_input(v) for v in self._start["data"].get("variables") or [])
        self.node_kinds: Mapping[str, str] = {n["id"]: n["data"]["type"] for n in graph["nodes"]}
        self._try_it()

    def env(self, mounted: Mapping[str, str]) -> dict[str, Variable]:
        """Values of env: those of the definition, and over them what is mounted."""
        env: dict[str, Variable] = {}
        kinds: dict[str, str] = {}
        for declared in self._variables.environment_variables:
            kind = str(declared.source.get("value_type") or "")
            kinds[declared.name] = kind
            value = "" if declared.value is None else declared.value
            env[declared.name] = Variable(declared.name, value, kind == "secret")
        for name, text in mounted.items():
            env[name] = Variable(name, _typed(kinds.get(name), text), kinds.get(name) != "number")
        return env

    def start(
        self, system: Mapping[str, Any], inputs: Mapping[str, Any], env: Mapping[str, Variable]
    ) -> "Execution":
        """A new run."""
        pool = VariablePool()
        add_env(pool, env)
        for declared in self._variables.conversation_variables:
            pool.add(("conversation", declared.name), declared.value)
        for key, value in {"files": [], "query": "", **system}.items():
            pool.add(("sys", key), value)
        for key, value in inputs.items():
            pool.add((self._start["id"], key), value)
        run = str(system.get("workflow_run_id", ""))
        state = RuntimeState(variable_pool=pool, start_at=time.time(), workflow_id=run)
        return self._execution(state, run)

    def resume(self, dump: str, env: Mapping[str, Variable], run: str) -> "Execution":
        """The run that this state is of. Raises `Rejected`."""
        try:
            state = RuntimeState.from_snapshot(dump)
            add_env(state.variable_pool, env)
            return self._execution(state, run)
        except Exception as error:
            raise Rejected(str(error)) from error

    def _execution(self, state: RuntimeState, run: str) -> "Execution":
        channel = InMemoryChannel()
        graph = self._built(state, run)
        engine = Engine(graph, state, command_channel=channel, workers=self._tools.workers)
        return Execution(engine, state, channel)

    def _built(self, state: RuntimeState, run: str) -> Graph:
        params = InitParams(workflow_id=run, graph_config=self._graph, run_context={}, call_depth=0)
        nodes = Nodes(
            graph_config=self._graph,
            init_params=params,
            runtime_state=state,
            credentials=DslCredentials(),
            dependencies=self._dependencies,
            tools=self._tools,
        )
        return Graph.init(
            graph_config=self._graph, node_factory=nodes, root_node_id=self._start["id"]
        )

    def _try_it(self) -> None:
        """Only a graph that was built is known to be one: inspecting passes what building does not.

        Children of iterations and loops are built when they run, so each scope is built here.
        """
        try:
            state = RuntimeState(variable_pool=VariablePool(), start_at=0.0, workflow_id="")
            Engine(self._built(state, ""), state, workers=1)
        except Exception as error:
            raise Invalid(str(error) or type(error).__name__) from error

    def _only_start(self) -> Mapping[str, Any]:
        kind = BuiltinNodeTypes.START
        found: list[Mapping[str, Any]] = [
            n for n in self._graph["nodes"] if n["data"].get("type") == kind
        ]
        if len(found) != 1:
            raise Invalid(f"a definition has one start node, and this one has {len(found)}")
        return found[0]


class Execution:
    """One run between two stands: its events, and what may be asked of it meanwhile."""

    def __init__(self, engine: Engine, state: RuntimeState, channel: InMemoryChannel) -> None:
        self._engine, self._state, self._channel = engine, state, channel

    def events(self) -> Iterator[Progress]:
        """All that happens. It must be taken to its end, or there is no dump."""
        for event in self._engine.run():
            said = self._said(event)
            if said is not None:
                yield said

    def pause(self, reason: str) -> None:
        self._channel.send_command(PauseCommand(reason=reason))

    def abort(self, reason: str) -> None:
        self._channel.send_command(AbortCommand(reason=reason))

    def dump(self) -> tuple[str, str, list[str]]:
        """(text without env, snapshot version, names of env that were taken out)."""
        return without_env(self._state.dumps())

    def _said(self, event: EngineEvent) -> Progress | None:
        state = _ENDS.get(type(event))
        if state is not None:
            error = getattr(event, "error", None) or getattr(event, "reason", None)
            return Stood(state, _plain(self._state.outputs), error, self._state.total_tokens)
        if isinstance(event, NodeRunStartedEvent) and not isinstance(event, NodeRunRetryEvent):
            return NodeBegan(event.id, event.node_id, str(event.node_type), event.node_title)
        if isinstance(event, (NodeRunSucceededEvent, *_FAILED_NODES)):
            failed, error = isinstance(event, _FAILED_NODES), getattr(event, "error", None)
            taken = (event.finished_at or event.start_at) - event.start_at
            kind, seconds = str(event.node_type), taken.total_seconds()
            return NodeEnded(event.id, event.node_id, kind, failed, error, seconds)
        return None


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it: files and segments are objects of the engine's own."""
    if depth > _DEEPEST:
        return str(value)
    if isinstance(value, Segment):
        return _plain(value.to_object(), depth + 1)
    if isinstance(value, File):
        return _plain(value.to_dict(), depth + 1)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, int | float):
        return value
    return str(value).encode(errors="replace").decode()


def _input(data: Mapping[str, Any]) -> Input:
    return Input(
        name=str(data["variable"]),
        kind=str(data.get("type") or "text-input"),
        required=bool(data.get("required")),
        default=data.get("default"),
        max_length=data.get("max_length"),
        options=tuple(data.get("options") or ()),
    )


def _typed(kind: str | None, text: str) -> Any:
    """What is mounted is text; a number that the definition declares stays a number."""
    if kind != "number":
        return text
    try:
        return int(text)
    except ValueError:
        return float(text)
