"""Files that no revision can be made from: their bytes, and what the message must say."""

import json

from tests.unit.revisions.graphs import EDGE, NODE, graph_copy, put

from belay.api.names import MAX_DELIVERED_BYTES


def _bad(value: object) -> bytes:
    return json.dumps(value).encode()


_GRAPHLESS = {"app": {"mode": "chat"}, "kind": "app", "model_config": {}}
BAD = {
    "not YAML": (b"a: [1", "line 1, column 6, a[1]: not YAML"),
    "no text": (b"\x89PNG\r\n", "line 1, column 1: not UTF-8 text"),
    "empty": (b"", "the file is empty"),
    "one word": (b"hello", "the whole file is one value"),
    "no graph": (_bad(_GRAPHLESS), 'app.mode: no graph: a "chat" app has none'),
    "dangling edge": (_bad(put(graph_copy(), (*EDGE, 0, "target"), "9")), "dangling edge"),
    "duplicate id": (_bad(put(graph_copy(), (*NODE, 1, "id"), "1")), "duplicate node id"),
    "unknown mode": (_bad(put(graph_copy(), ("app", "mode"), "x")), 'unknown mode "x"'),
    "number": (_bad(put(graph_copy(), ("version",), 0.6)), "the number 0.6 stands where text"),
    "too large": (b"#" * (MAX_DELIVERED_BYTES + 1), "too large: at most 900 KiB"),
    "bomb": (b"a: &a [x]\n" + b"b: [" + b"*a," * 90_000 + b"]", "expands to more than"),
    "deep": (b"[" * 9999, "nested deeper than 64 levels"),
}
