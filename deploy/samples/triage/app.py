"""A small runner for Dify workflows, fed by Belay: the standard library, five node types.

It reads `<mount>/current.json` {digest, contentDigest, file} and the definition that this names,
which is written as JSON (JSON is YAML, so Dify imports it, too). POST /run {"inputs": {...}}
answers {"outputs": {...}, "digest": "sha256:..."}; what goes wrong answers 500 and names the node.
"""

import hashlib
import json
import os
import re
import signal
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MOUNT = Path(os.environ.get("BELAY_MOUNT", "/etc/belay"))
MAX_BODY = 64 * 1024
REFERENCE = re.compile(r"\{\{#(\w+)\.(\w+)#\}\}")
NAME = re.compile(r"\{\{\s*(\w+)\s*\}\}")
COMPARE = {"contains": str.__contains__, "is": str.__eq__}
Json = dict[str, Any]


class NodeError(Exception): ...


class Workflow:
    """The delivered revision; `digest` is None as long as there is none."""

    def __init__(self) -> None:
        self.digest: str | None = None
        if not (pointer := MOUNT / "current.json").exists():
            return
        current = json.loads(pointer.read_text())
        promised = current["contentDigest"].removeprefix("sha256:")
        content = (MOUNT / "revisions" / promised[:16] / current["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != promised:
            raise SystemExit(f"{current['file']} is not what current.json promises")
        workflow = json.loads(content)["workflow"]
        self.variables = {v["name"]: v["value"] for v in workflow["environment_variables"]}
        self.nodes: dict[str, Json] = {n["id"]: n["data"] for n in workflow["graph"]["nodes"]}
        self.edges = workflow["graph"]["edges"]
        self.digest = current["digest"]

    def run(self, inputs: Json) -> Json:
        """Walk from the start to an end node and return its outputs."""
        if self.digest is None:
            raise NodeError("no revision was delivered yet")
        name = next(name for name, node in self.nodes.items() if node["type"] == "start")
        values: dict[str, Json] = {}
        while name not in values:
            node = self.nodes[name]
            try:
                values[name], handle = self.step(node, values, inputs)
                if node["type"] == "end":
                    return values[name]
                leaving = (e for e in self.edges if e["source"] == name)
                name = next(e["target"] for e in leaving if e["sourceHandle"] == handle)
            except Exception as error:
                raise NodeError(f'node {node["type"]} "{node["title"]}": {error!r}') from error
        raise NodeError(f"node {name} is reached twice")

    def step(self, node: Json, values: dict[str, Json], inputs: Json) -> tuple[Json, str]:
        """Outputs of one node, and the handle to leave it by."""
        match node["type"]:
            case "start":
                return {v["variable"]: inputs[v["variable"]] for v in node["variables"]}, "source"
            case "if-else":
                cases = (case["case_id"] for case in node["cases"] if self.holds(case, values))
                return {}, next(cases, "false")
            case "template-transform":
                known = self.select_all(node["variables"], values)
                return {"output": NAME.sub(lambda m: known[m[1]], node["template"])}, "source"
            case "http-request":
                return self.request(node, values), "source"
            case "end":
                return self.select_all(node["outputs"], values), ""
            case other:
                raise TypeError(f"this application cannot run {other} nodes")

    def holds(self, case: Json, values: dict[str, Json]) -> bool:
        pairs = [(self.select(c["variable_selector"], values), c) for c in case["conditions"]]
        every = {"and": all, "or": any}[case["logical_operator"]]
        return every(COMPARE[c["comparison_operator"]](found, c["value"]) for found, c in pairs)

    def select_all(self, variables: list[Json], values: dict[str, Json]) -> Json:
        return {v["variable"]: self.select(v["value_selector"], values) for v in variables}

    def select(self, selector: list[str], values: dict[str, Json]) -> str:
        owner, field = selector
        if owner == "env":  # the process may override what the definition says
            return os.environ.get(field) or self.variables[field]
        if field not in values.get(owner, {}):
            raise LookupError(f"no node produces {owner}.{field}")
        return str(values[owner][field])

    def request(self, node: Json, values: dict[str, Json]) -> Json:
        def fill(text: str) -> str:
            return REFERENCE.sub(lambda m: self.select([m[1], m[2]], values), text)

        body = "".join(fill(part["value"]) for part in node["body"]["data"]).encode() or None
        asked = urllib.request.Request(fill(node["url"]), body, method=node["method"].upper())
        with urllib.request.urlopen(asked, timeout=node["timeout"]["read"]) as answer:
            return {"body": answer.read(MAX_BODY).decode(), "status_code": answer.status}


class Handler(BaseHTTPRequestHandler):
    workflow: Workflow

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/healthz" else 404, {})

    def do_POST(self) -> None:
        if self.path != "/run":
            return self.answer(404, {})
        try:
            size = min(int(self.headers["Content-Length"]), MAX_BODY)
            inputs = dict(json.loads(self.rfile.read(size))["inputs"])
        except (ValueError, LookupError, TypeError):
            return self.answer(400, {"error": 'POST /run takes {"inputs": {...}}'})
        try:
            self.answer(200, {"outputs": self.workflow.run(inputs)})
        except NodeError as error:
            self.answer(500, {"error": str(error)})

    def answer(self, status: int, body: Json) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**body, "digest": self.workflow.digest}).encode())

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    Handler.workflow = Workflow()
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    server.daemon_threads = False  # closing waits for requests in flight
    # Endpoints forget a pod a moment after its SIGTERM: until then it still serves.
    drain = threading.Timer(float(os.environ.get("DRAIN_SECONDS", "3")), server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: drain.start())
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
