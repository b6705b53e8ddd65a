"""Dify's engine by itself: runs of one definition, timed. Run by the runner's Python, not by ours.

Each line of standard input is a number of threads and a number of runs; each line of standard
output is what came of it.
"""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from graphon.dsl import SlimDslNodeFactory, inspect
from graphon.dsl.entities import DslCredentials
from graphon.engine import Engine
from graphon.engine.command.builtin.in_memory import InMemoryChannel
from graphon.graph.graph import Graph
from graphon.runtime.init_params import InitParams
from graphon.runtime.runtime_state import RuntimeState
from graphon.runtime.variable_pool import VariablePool


def main(text: str, inputs: dict[str, str], wanted: str) -> None:
    graph = inspect(text).document.graph_config

    def one(number: int) -> float:
        began = time.monotonic()
        run, pool = str(number), VariablePool()
        for name, value in inputs.items():
            pool.add(("start", name), value)
        state = RuntimeState(variable_pool=pool, start_at=time.time(), workflow_id=run)
        params = InitParams(workflow_id=run, graph_config=graph, run_context={}, call_depth=0)
        nodes = SlimDslNodeFactory(
            graph_config=graph,
            init_params=params,
            runtime_state=state,
            credentials=DslCredentials(),
            dependencies=[],
        )
        built = Graph.init(graph_config=graph, node_factory=nodes, root_node_id="start")
        engine = Engine(built, state, command_channel=InMemoryChannel(), workers=2)
        *_, last = engine.run()
        assert wanted in str(last.outputs), last
        return time.monotonic() - began

    one(0)
    print(json.dumps({"rss": _rss()}), flush=True)
    for line in sys.stdin:
        threads, runs = map(int, line.split())
        cpu, began = time.process_time(), time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            each = list(pool.map(one, range(runs)))
        spent, took = time.process_time() - cpu, time.monotonic() - began
        told = {"each": each, "seconds": took, "cpu": spent, "rss": _rss()}
        print(json.dumps(told), flush=True)


def _rss() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not worth an import that is measured
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
