"""The reference runner on real pods, and runs of it that are in flight while revisions change."""

import asyncio
import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import yaml
from tests.harness import workbench_manifests as manifests
from tests.harness.setup import ROOT
from tests.harness.workbench import SECONDS, Bench, Object
from tests.harness.workbench_flow import Flow
from tests.runner import dsl

from belay.shell.resources import DEPLOYMENTS, PODS, SECRETS, Resource

NAME = "letters"
TOKEN = "a-token-for-tests"
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
OVER = ("succeeded", "partial-succeeded", "failed", "stopped", "lost")
ENGINE: Object = {
    "port": "admin",
    "tokenFrom": {"secretKeyRef": {"name": f"{NAME}-engine", "key": "token"}},
}
WRITES: Object = {
    "name": "writes",
    "http": {
        "port": "admin",
        "method": "POST",
        "path": "/engine/v1/runs",
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Authorization", "valueFrom": {
                "secretKeyRef": {"name": f"{NAME}-engine", "key": "bearer"}}},
        ],
        "body": json.dumps({"inputs": {"name": "check", "seconds": "0", "items": "a"}}),
        "expect": {"status": [200], "bodyContains": '"status":"succeeded"'},
    },
    "period": "300ms",
    "timeout": "10s",
    "failureThreshold": 2,
}  # fmt: skip
"""A trial run, which intake lets in while it is closed."""

_SLOW = """
import http.server, time
class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        _, seconds, text = self.path.split("/", 2)
        time.sleep(float(seconds or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 200
http.server.ThreadingHTTPServer(("", 8080), Slow).serve_forever()
"""


def letter(slow: str, version: str, source: str = "{{x}} and {{all | join('+')}}") -> Object:
    """A slow call, then one in each item of an iteration, and a letter that names the version."""
    url = f"http://{slow}:8080/{{{{#start.seconds#}}}}/"
    split = dsl.code(
        "split",
        "def main(items):\n    return {'items': items.split(',')}",
        {"items": "array[string]"},
        items=["start", "items"],
    )
    held = dsl.call("held", url + "{{#each.item#}}")
    text = dsl.app(
        dsl.start(dsl.text("name"), dsl.text("seconds"), dsl.text("items")),
        dsl.call("called", url + "{{#start.name#}}"),
        split,
        *dsl.iteration("each", ["split", "items"], ["held", "body"], held),
        dsl.template(
            "letter", f"{source} by {version}", x=["called", "body"], all=["each", "output"]
        ),
        dsl.end(letter=["letter", "output"]),
    )
    return dict(json.loads(text))


def failing(slow: str, version: str) -> Object:
    """It is built, and every run of it fails."""
    return letter(slow, version, "{{ x.no.such.thing }}")


@dataclass(slots=True)
class Letters:
    """A Workflow of the runner, with v1 active."""

    bench: Bench
    flow: Flow
    slow: str

    async def pods(self) -> list[Object]:
        return [p for p in await self.bench.pods(NAME) if p["status"].get("podIP")]

    async def start(self, count: int, seconds: float = 2.0) -> dict[str, str]:
        """Runs in flight, on all pods; what each has to say in the end, by id."""
        pods = await self.pods()

        async def one(number: int) -> tuple[str, str]:
            url = f"http://{pods[number % len(pods)]['status']['podIP']}:8080/v1/workflows/run"
            name = f"n{number}"
            # Some stand in the first call, others in an item of the iteration; all take long
            # enough to be in flight when the rollout gets to them.
            pace, items = (seconds, "a,b,c") if number % 2 else (seconds / 2, "a,b,c,d,e,f,g")
            inputs = {"name": name, "seconds": str(pace), "items": items}
            wish = {"inputs": inputs, "response_mode": "async", "user": "test"}
            async with self.bench.http.post(url, json=wish) as answer:
                told = await answer.json()
                assert answer.status == 200, told
                return told["data"]["id"], f"{name} and {items.replace(',', '+')}"

        return dict(await asyncio.gather(*(one(n) for n in range(count))))

    async def found(self) -> dict[str, Object]:
        """Every run that a living pod tells of; where two do, the one that has not handed it on."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        runs: dict[str, Object] = {}
        for pod in await self.pods():
            url = f"http://{pod['status']['podIP']}:8081/engine/v1/runs?limit=500"
            with suppress(aiohttp.ClientConnectorError):  # it begins, or has ended
                async with self.bench.http.get(url, headers=headers) as answer:
                    for run in (await answer.json())["runs"]:
                        runs[run["id"]] = {**run, "at": pod["status"]["podIP"]}
        return runs

    async def ended(self, wanted: set[str]) -> dict[str, Object]:
        """Once all of these are over: how, and with which letter."""
        mine: dict[str, Object] = {}
        try:
            async with asyncio.timeout(SECONDS):
                while len(mine) < len(wanted) or any(
                    r["status"] not in OVER for r in mine.values()
                ):
                    await asyncio.sleep(0.2)
                    runs = await self.found()
                    mine = {run: runs[run] for run in wanted if run in runs}
        except TimeoutError:
            left = [r for r in mine.values() if r["status"] not in OVER]
            nowhere = wanted - mine.keys()
            told = f"not over: {left[:3]}; nowhere: {sorted(nowhere)}; {await self.restarts()}"
            raise AssertionError(told) from None
        return {run: await self._result(told) for run, told in mine.items()}

    async def restarts(self) -> str:
        """What became of containers, for people."""
        states = [s for p in await self.pods() for s in p["status"].get("containerStatuses") or []]
        ended = [
            s["lastState"].get("terminated", {}).get("reason", "?")
            for s in states
            if s["restartCount"]
        ]
        return f"{len(ended)} of {len(states)} containers restarted {ended}"

    async def _result(self, run: Object) -> Object:
        url = f"http://{run['at']}:8080/v1/workflows/run/{run['id']}"
        async with self.bench.http.get(url) as answer:
            return dict(await answer.json())

    async def holders(self) -> set[str]:
        """Who closes intake, in any pod."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        found: set[str] = set()
        for pod in await self.pods():
            url = f"http://{pod['status']['podIP']}:8081/engine/v1/info"
            with suppress(aiohttp.ClientConnectorError):
                async with self.bench.http.get(url, headers=headers) as answer:
                    found |= set((await answer.json())["holders"])
        return found


async def grant(bench: Bench, *samples: str) -> None:
    """The Roles that a tenant grants, as they are shipped."""
    for sample in samples:
        for body in yaml.safe_load_all((ROOT / "deploy/samples" / sample).read_text()):
            if body["kind"] == "Role" and "resourceNames" in body["rules"][0]:
                body["rules"][0]["resourceNames"] = [f"{NAME}-engine"]
            await bench.apply(ROLES if body["kind"] == "Role" else BINDINGS, body)


async def letters(
    bench: Bench, *, replicas: int = 2, update: str = "Rolling", **spec: Any
) -> Letters:
    """A Workflow with v1 proven, its engine granted; `spec` counts from the next wish on."""
    slow = await _slow(bench)
    data = {"token": TOKEN, "bearer": f"Bearer {TOKEN}"}
    await bench.apply(SECRETS, {
        "metadata": {"name": f"{NAME}-engine"},
        "type": "belay.dev/check-credentials",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    })  # fmt: skip
    await grant(bench, "check-credentials-role.yaml", "backup-role.yaml")
    (deployment,) = yaml.safe_load_all((ROOT / "deploy/samples/runner/deployment.yaml").read_text())
    deployment["spec"]["replicas"] = replicas
    pod = deployment["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 3
    container = pod["containers"][0]
    container["args"] += ["--allow-code", f"--http-allow={slow}/32", "--grace=2", "--max-runs=64"]
    pod["volumes"].append({"name": "tmp", "emptyDir": {}})
    container["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"})
    if update == "Reload":
        pod["volumes"].append(
            {"name": "belay", "configMap": {"name": f"{NAME}-current", "optional": True}}
        )
        container["volumeMounts"].append({"name": "belay", "mountPath": "/etc/belay"})
    await bench.apply(DEPLOYMENTS, deployment)
    for version in ("v1", "v2"):
        await bench.revise(version, flow=NAME, **letter(slow, version))
    await bench.revise("v3", flow=NAME, **failing(slow, "v3"))
    manifest = manifests.workflow(NAME, checks=(), window="0s", preview="None", targets=(NAME,))
    workload = manifest["spec"]["target"]["workloads"][0]
    workload |= {"container": "runner", "update": update}
    manifest["spec"]["instances"] = {"engine": ENGINE}
    flow = Flow(bench, manifest)
    await flow.apply()
    await flow.at("Promoted")
    flow.spec["verification"] |= {"checks": [WRITES], "window": "1s"}
    flow.spec.update(spec)
    found = Letters(bench, flow, slow)
    undisturbed = await found.ended(set(await found.start(1, 0.01)))
    assert [one["status"] for one in undisturbed.values()] == ["succeeded"], undisturbed
    return found


async def _slow(bench: Bench) -> str:
    """The address of a pod that takes its time."""
    body = manifests.deployment("slow", flow=None)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python3", "-u", "-c", _SLOW]
    container["readinessProbe"]["httpGet"]["path"] = "/0/ready"
    await bench.apply(DEPLOYMENTS, body)
    pod = await bench.until_pod(
        lambda p: (
            p["metadata"]["labels"].get("app") == "slow"
            and any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in p["status"].get("conditions") or []
            )
        )
    )
    return str((await bench.get(PODS, pod["metadata"]["name"]))["status"]["podIP"])
