"""The node: starts, readies, crashes and ends pods, and answers in their name."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.scenario.ownership import Entry
from tests.scenario.records import Event, Id, Write
from tests.scenario.shapes import Object
from tests.scenario.store import Server
from tests.scenario.world.life import Life, Look, look_at, status_of
from tests.unit.shell.virtual_time import clock, now

from belay.api.names import ANNOTATION_CONTENT_DIGEST, POINTER_FILE, POINTER_SUFFIX
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.errors import NotFound
from belay.shell.resources import CONFIG_MAPS, PODS

_SCHEDULER = Write(Entry("kube-scheduler", "Update", ""))
_KUBELET = Write(Entry("kubelet", "Update", "status"))
_ENDING = 0.2
"""Seconds that a pod takes to end."""
_ROUND_TRIP = 0.004
_ROUNDING = 1e-6
Tell = Callable[[str, str], None]


@dataclass(slots=True)
class Kubelet:
    """One node that has room for all. `lives` are by content digest; "" is the own template's."""

    server: Server
    delay: Callable[[], float]
    tell: Tell
    lives: dict[str, Life] = field(default_factory=dict)
    unreachable: bool = False
    """Between Belay and the pods nothing goes through."""
    watching: set[str] = field(default_factory=set)
    """Names of Deployments whose processes watch the pointer."""
    _taken_up: dict[str, str] = field(default_factory=dict)
    """What processes that watch the pointer run: content digest by UID of their pod."""
    _born: dict[str, float] = field(default_factory=dict)
    _ready_at: dict[str, float] = field(default_factory=dict)
    _said: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.listeners.append(self._happened)

    def content(self, pod: Object) -> str:
        """Digest of the content that a pod runs; empty: none of ours."""
        if pod["metadata"]["labels"].get("app") in self.watching:
            return self._taken_up.get(pod["metadata"]["uid"], "")
        annotations = pod["metadata"].get("annotations") or {}
        return str(annotations.get(ANNOTATION_CONTENT_DIGEST, ""))

    def life(self, pod: Object) -> Life:
        life = self.lives.get(self.content(pod), Life())
        elsewhere = life.only_in not in ("", pod["metadata"]["labels"].get("app"))
        return Life() if elsewhere else life

    async def ask(self, probe: Probe) -> Sample:
        """What the pod answers to a check now; stands in for HTTP."""
        await asyncio.sleep(_ROUND_TRIP)
        answer, got = await self._answer(probe)
        if self._said.get((probe.check.name, probe.pod_uid)) != got:
            self._said[probe.check.name, probe.pod_uid] = got
            self.tell("check", f"{probe.check.name} asks {probe.pod}: {got}")
        return Sample(answer, got, now())

    async def _answer(self, probe: Probe) -> tuple[Answer, str]:
        timeout = probe.check.limit
        pods = (p for p in self.server.view(PODS) if p["metadata"]["uid"] == probe.pod_uid)
        pod = next(pods, None)
        if self.unreachable or (pod is not None and self.life(pod).silent):
            await asyncio.sleep(timeout)
            return Answer.NONE, f"no answer within {timeout:g} s"
        if pod is None or not self._look(pod).runs:
            return Answer.NONE, "connection refused"
        if probe.report is not None:
            content = self.content(pod)
            right = content == probe.report.wanted
            return Answer.RIGHT if right else Answer.WRONG, content[:19] or "no digest"
        wrong_after = self.life(pod).wrong_after
        ready_for = clock() - self._ready_at.get(probe.pod_uid, clock())
        if wrong_after is not None and ready_for >= wrong_after:
            return Answer.WRONG, "500 instead of 200"
        return Answer.RIGHT, "200"

    def _look(self, pod: Object) -> Look:
        age = clock() - self._born[pod["metadata"]["uid"]]
        return look_at(self.life(pod), age + _ROUNDING)

    def _happened(self, event: Event) -> None:
        if event.id[0] == CONFIG_MAPS and event.id[2].endswith(POINTER_SUFFIX):
            self._pointed(event)
        if event.id[0] != PODS:
            return
        if event.kind == "DELETED":
            self.tell("pods", f"{event.id[2]} is gone")
            return
        uid = event.body["metadata"]["uid"]
        if uid not in self._born and event.body["metadata"]["labels"].get("app") in self.watching:
            self._start(event.id[1], uid)
        self._born.setdefault(uid, clock())
        self._later(self.delay(), event.id)

    def _start(self, namespace: str, uid: str) -> None:
        """A process begins with what the pointer says then."""
        for pointer in self.server.view(CONFIG_MAPS, namespace):
            if pointer["metadata"]["name"].endswith(POINTER_SUFFIX):
                self._taken_up[uid] = _points_to(pointer)

    def _pointed(self, event: Event) -> None:
        """Each process takes the new content up in its own time."""
        content = "" if event.kind == "DELETED" else _points_to(event.body)
        for pod in self.server.view(PODS, event.id[1]):
            name, uid = pod["metadata"]["labels"].get("app"), pod["metadata"]["uid"]
            life = self.lives.get(content, Life())
            after = life.taken_up_after if life.only_in in ("", name) else 0.01
            if name in self.watching and after is not None:
                loop = asyncio.get_running_loop()
                loop.call_later(after, self._taken_up.__setitem__, uid, content)

    def _later(self, seconds: float, id_: Id) -> None:
        asyncio.get_running_loop().call_later(max(seconds, 0.0), self._see, id_)

    def _see(self, id_: Id) -> None:
        """Bring the pod's status to what it looks like now, and come back when that changes."""
        try:
            pod = self.server.get(*id_)
        except NotFound:
            return
        life = self.life(pod)
        if not pod["spec"].get("nodeName") and not life.no_room:
            pod["spec"]["nodeName"] = "node"
            self.server.replace(*id_[:2], pod, _SCHEDULER)
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._end(id_, pod["metadata"]["uid"])
            return
        look = self._look(pod)
        before = pod.get("status") or {}
        pod["status"] = status_of(look, life, self._address(pod))
        if pod["status"] != before:
            self._tell_change(pod, look)
            self.server.replace(*id_[:2], pod, _KUBELET)
        if look.changes_at is not None and not life.no_room:
            self._later(self._born[pod["metadata"]["uid"]] + look.changes_at - clock(), id_)

    def _end(self, id_: Id, uid: str) -> None:
        def gone() -> None:
            try:
                if self.server.get(*id_)["metadata"]["uid"] == uid:
                    self.server.delete(*id_, grace=0)
            except NotFound:
                return

        asyncio.get_running_loop().call_later(_ENDING, gone)

    def _address(self, pod: Object) -> str:
        return f"10.0.0.{list(self._born).index(pod['metadata']['uid']) % 250 + 1}"

    def _tell_change(self, pod: Object, look: Look) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        waiting = look.state.get("waiting") or {}
        if look.ready:
            self._ready_at[uid] = clock()
            self.tell("pods", f"{name} is ready")
        elif look.runs:
            again = f" again (restart {look.restarts})" if look.restarts else ""
            self.tell("pods", f"{name} runs{again}")
        elif waiting.get("reason") not in (None, "ContainerCreating"):
            message = f": {waiting['message']}" if waiting.get("message") else ""
            self.tell("pods", f"{name} waits, {waiting['reason']}{message}")


def _points_to(pointer: Object) -> str:
    return str(json.loads(pointer["data"][POINTER_FILE])["contentDigest"])
