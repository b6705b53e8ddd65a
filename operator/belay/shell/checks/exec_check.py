"""One command of a check, run inside a pod by the API server and kubelet, and what came of it.

The operator's ClusterRole has no rule about pods/exec: a tenant grants it for a namespace.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.credentials import Problem
from belay.shell.checks.dialling import Result, sampled
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Forbidden, NotFound
from belay.shell.resources import ACCESS_REVIEWS

MAX_OUTPUT: Final = 64 * 1024
ROLE: Final = "belay-check-exec"
_ERROR_CHANNEL: Final = 3
"""Channel of a metav1.Status, the first byte of a frame (k8s.io/apimachinery, remotecommand)."""


@dataclass(frozen=True, slots=True)
class ExecAsker:
    """Asks probes by a command in their pod. Never raises for what comes of it."""

    cluster: Cluster
    now: Callable[[], datetime]

    async def __call__(self, probe: Probe) -> Sample:
        return sampled(await self._asked(probe), self.now())

    async def _asked(self, probe: Probe) -> Result:
        check = probe.check.exec
        assert check is not None  # noqa: S101
        try:
            async with asyncio.timeout(probe.check.limit):
                return await self._run(probe, check.command)
        except TimeoutError:
            return Answer.NONE, f"no exit within {probe.check.limit:g} s"
        except Forbidden:
            return Answer.UNASKED, grant(probe.namespace)
        except NotFound:
            return Answer.UNASKED, f"pod {probe.pod} is gone"
        except ApiError as error:
            answer = f"answered {error.code}" if error.code else "gave no answer"
            return Answer.UNASKED, f"could not be run: the API server {answer}"

    async def _run(self, probe: Probe, command: list[str]) -> Result:
        output = 0
        run = self.cluster.exec(probe.namespace, probe.pod, probe.container, command)
        async with run as socket:
            async for message in socket:
                data = message.data if message.type is aiohttp.WSMsgType.BINARY else b""
                if data[:1] == bytes((_ERROR_CHANNEL,)) and len(data) > 1:
                    return _exit(data[1:])
                output += len(data)
                if output > MAX_OUTPUT:
                    return Answer.WRONG, "more than 64 KiB on its standard error"
        return Answer.NONE, "connection closed before its exit"


async def may_exec(cluster: Cluster, namespace: str) -> Problem | None:
    """Why commands may not be run in the pods of a namespace. Raises `ApiError`."""
    answers = await asyncio.gather(*(_may(cluster, namespace, verb) for verb in ("create", "get")))
    return None if all(answers) else Problem(grant(namespace))


async def _may(cluster: Cluster, namespace: str, verb: str) -> bool:
    wanted = {"namespace": namespace, "verb": verb, "resource": "pods", "subresource": "exec"}
    review: dict[str, Any] = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": wanted},
    }
    answer = await cluster.create(ACCESS_REVIEWS, None, review)
    return bool((answer.get("status") or {}).get("allowed"))


def grant(namespace: str) -> str:
    """What is missing, and who can give it."""
    return (
        "Belay may not run commands in pods; grant it: kubectl create role "
        f"{ROLE} -n {namespace} --verb=get,create --resource=pods/exec, "
        "bound as in deploy/samples/check-exec-role.yaml"
    )


def _exit(text: bytes) -> Result:
    """What kubelet says of the exit; nothing of the command's own words."""
    try:
        status = json.loads(text)
        if status["status"] == "Success":
            return Answer.RIGHT, "exit code 0"
        if status.get("reason") == "NonZeroExitCode":
            causes = status["details"]["causes"]
            code = next(int(c["message"]) for c in causes if c["reason"] == "ExitCode")
            return Answer.WRONG, f"exit code {code}"
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return Answer.UNASKED, "could not be run: kubelet's answer was not understood"
    return Answer.UNASKED, "could not be started in its container: is the command there?"
