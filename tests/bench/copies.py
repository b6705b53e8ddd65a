"""Fills a control plane with Workflows at rest: copies of one that really went through it all."""

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import crowd
from tests.bench.crowd import each
from tests.bench.etcd import Etcd, key_of
from tests.bench.loopback import PROGRAM
from tests.faults.standin import Life, StandIn
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge
from tests.harness.workbench_operator import Operator

from belay.core.delivery import config_map_name
from belay.shell.cluster import Cluster as Api
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, REVISIONS, WORKFLOWS

Object = dict[str, Any]
REVISIONS_EACH = 10
REVISION_BYTES = 20 * 1024
PER_NAMESPACE = 100
LONG_AGO = b"2026-01-01T"
"""What has just happened would be told again by a new process."""
_DAY = re.compile(rb"\d{4}-\d\d-\d\dT")
_PLACE, _FLOW, _TARGET = "scale-mod", "flow-model", "app-model"
_CHECK: Object = {"name": "answers", "http": {"port": "http", "path": "/run"}}


def flow(number: int) -> str:
    return f"flow-{number:05}"


def namespace(number: int) -> str:
    return f"scale-{number // PER_NAMESPACE:03}"


@dataclass(frozen=True, slots=True)
class Model:
    """A Workflow with a full history, and what belongs to it, as the API server has stored it."""

    stored: dict[str, bytes]
    """By their keys."""
    uids: list[bytes]


async def model(api: Api, etcd: Etcd, kubeconfig: Path, home: Path) -> Model:
    """Promote ten revisions, one after the other, and read what came of it."""
    bodies = [_revision(n) for n in range(1, REVISIONS_EACH + 1)]
    life = Life("127.1.")
    standin = StandIn(api, {b["spec"]["contentDigest"]: life for b in bodies}, target=_TARGET)
    operator = Operator(kubeconfig, (_PLACE,), home / "model.log", program=PROGRAM)
    await crowd.place(api, _PLACE)
    made = [await api.create(REVISIONS, _PLACE, body) for body in bodies]
    served = await _serve()
    async with standin.running():
        operator.start()
        try:
            port = served.sockets[0].getsockname()[1]
            made.append(await api.create(DEPLOYMENTS, _PLACE, _deployment(port)))
            made.append(await api.create(WORKFLOWS, _PLACE, _workflow()))
            for number in range(1, REVISIONS_EACH + 1):
                if number > 1:
                    wish = {"spec": {"activeRevision": f"v{number}"}}
                    await merge(api, WORKFLOWS, _PLACE, _FLOW, wish)
                await _promoted(standin, f"v{number}")
        finally:
            operator.close()
            served.close()
    found = await api.get(WORKFLOWS, _PLACE, _FLOW)
    name = config_map_name(_FLOW, found["status"]["active"]["contentDigest"])
    made.append(await api.get(CONFIG_MAPS, _PLACE, name))
    keys = [
        *(key_of(REVISIONS, _PLACE, body["metadata"]["name"]) for body in bodies),
        key_of(DEPLOYMENTS, _PLACE, _TARGET),
        key_of(CONFIG_MAPS, _PLACE, name),
        key_of(WORKFLOWS, _PLACE, _FLOW),
    ]
    stored = {key: await etcd.read(key) for key in keys}
    stored[keys[-1]] = _DAY.sub(LONG_AGO, stored[keys[-1]])
    return Model(stored, [one["metadata"]["uid"].encode() for one in made])


async def fill(api: Api, etcd: Etcd, like: Model, numbers: range) -> None:
    """Copy it; each copy has its own revisions, target and delivered content."""
    places = sorted({namespace(n) for n in numbers})
    await each(lambda name: crowd.place(api, name), places)
    await each(lambda number: etcd.write(_copy(like, number)), numbers, at_once=4)


def _copy(like: Model, number: int) -> dict[str, bytes]:
    """The same bytes with other names of the same length, which even protobuf takes."""
    names = {_PLACE: namespace(number), _FLOW: flow(number), _TARGET: f"app-{number:05}"}
    assert all(len(old) == len(new) for old, new in names.items())
    uids = {old: str(uuid.uuid4()).encode() for old in like.uids}

    def renamed(value: bytes) -> bytes:
        for old, new in uids.items():
            value = value.replace(old, new)
        for name, other in names.items():
            value = value.replace(name.encode(), other.encode())
        return value

    return {renamed(key.encode()).decode(): renamed(value) for key, value in like.stored.items()}


def _revision(number: int) -> Object:
    """A graph of a hundred nodes, together about 20 KiB."""
    text = f"Answer in a friendly way, version {number}. " * 3
    nodes = [{"id": f"n{n}", "data": {"type": "llm", "prompt": text}} for n in range(100)]
    edges = [{"source": f"n{n}", "target": f"n{n + 1}"} for n in range(99)]
    definition = {"nodes": nodes, "edges": edges}
    definition["pad"] = [{"text": "." * (REVISION_BYTES - len(json.dumps(definition)) - 32)}]
    return manifests.revision_body(_FLOW, f"v{number}", definition)


def _deployment(port: int) -> Object:
    body = manifests.deployment(_TARGET, flow=_FLOW)
    ports = [{"name": "http", "containerPort": port}]
    container = {"name": "app", "image": "app", "ports": ports}
    body["spec"]["template"]["spec"] = {"containers": [container]}
    return body


def _workflow() -> Object:
    kind = {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind}
    body = manifests.workflow(
        _FLOW, targets=[_TARGET], checks=[_CHECK], preview="None", window="0s"
    )
    return {**kind, **body}


async def _serve() -> asyncio.Server:
    """Answers 200 to whatever is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "0.0.0.0", 0)


async def _promoted(standin: StandIn, revision: str) -> None:
    def good() -> bool:
        status = standin.workflows.get(_PLACE, {}).get("status") or {}
        return bool(status.get("phase") == "Promoted" and status["activeRevision"] == revision)

    async with asyncio.timeout(60), standin.news:
        await standin.news.wait_for(good)
