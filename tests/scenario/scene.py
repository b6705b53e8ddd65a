"""A scene: one namespace with workloads, a Workflow, its revisions, and people who act on it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.scenario.machine import Machine, Weather
from tests.scenario.ownership import Entry
from tests.scenario.records import Event, Write
from tests.scenario.shapes import Object, received
from tests.scenario.store import Server
from tests.scenario.tale import Tale
from tests.scenario.world.controllers import Controllers
from tests.scenario.world.engine import Process
from tests.scenario.world.jobs import Jobs
from tests.scenario.world.kubelet import Kubelet
from tests.scenario.world.life import Life
from tests.scenario.world.owned import ready
from tests.unit.shell.virtual_time import now

from belay.api.instance_kinds import SHIPPED
from belay.api.names import (
    ANNOTATION_CONTENT_DIGEST,
    ANNOTATION_WORKFLOW,
    LABEL_MANAGED,
    LABEL_PREVIEW,
    POINTER_SUFFIX,
)
from belay.api.revision import Format
from belay.api.words import Outcome
from belay.core.engine.view import RunState
from belay.core.revisions.read import parse
from belay.core.revisions.revision import Draft, build
from belay.shell import orphans
from belay.shell.backups.secrets import SecretStore
from belay.shell.checks.credentials import Credentials
from belay.shell.engine.wire import RunTold
from belay.shell.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    SECRETS,
    WORKFLOWS,
    WORKLOADS,
    Resource,
)

NAMESPACE, WORKFLOW = "shop", "wf-1"
_USER = Write(Entry("kubectl-edit", "Update", ""))
_OUTCOMES = frozenset(map(str, Outcome))
CHECK = {
    "name": "answers",
    "http": {"port": 8080, "path": "/run", "method": "POST", "body": "{}"},
}
Seen = Callable[[Object], bool]
"""Whether the Workflow looks as it is waited for."""


@dataclass(slots=True)
class Scene:
    """The world of one run. Verbs are what people do; `until` and `rest` wait for Belay."""

    weather: Weather = field(default_factory=Weather)
    tale: Tale = field(default_factory=Tale)
    server: Server = field(init=False)
    kubelet: Kubelet = field(init=False)
    controllers: Controllers = field(init=False)
    jobs: Jobs = field(init=False)
    machine: Machine = field(init=False)
    name: str = WORKFLOW
    """The Workflow that the verbs are about."""
    _digests: dict[str, str] = field(default_factory=dict)
    _waiting: list[tuple[Seen, asyncio.Future[None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = Server(now)
        self.kubelet = Kubelet(self.server, self.weather.delay, self.tale.tell)
        self.controllers = Controllers(self.server, self.weather.delay)
        self.jobs = Jobs(self.server, self.weather.delay)
        self.machine = Machine(self.server, self.kubelet.ask, self.weather, self.tale.hear)
        self.machine.world.tell = self.tale.tell
        self.machine.world.mounted = self._mounted
        self.server.listeners.append(self._happened)

    async def stable_on(self, revision: str, **spec: Any) -> None:
        """Begin with a Workflow at rest, whose revision is proven; nothing of it is told."""
        for target in spec.get("targets", ("triage",)):
            self.workload(target)
        self.publish(revision)
        self.workflow(revision, **spec)
        await self.rest()
        await self.passes(15)
        self.begin()

    async def neighbours(self, count: int) -> None:
        """Other Workflows at rest whose checks go on."""
        for n in range(count):
            self.name = f"near-{n + 1}"
            self.workload(self.name, replicas=1)
            self.publish("v1")
            steady = {"steady": {}, "window": "0s", "preview": "None"}
            self.workflow("v1", (self.name,), verification=steady)
            await self.rest()
        self.name = WORKFLOW

    def begin(self) -> None:
        """What happens from now on is told, and Belay's writes are counted."""
        self.tale.begin()
        self.machine.writes = 0

    def workload(
        self,
        target: str = "triage",
        *,
        consents: bool = True,
        replicas: int = 2,
        history: int = 10,
    ) -> None:
        """The team deploys its application: `name` of a Deployment, or `kind/name`.

        `history` is its revisionHistoryLimit.
        """
        kind, name = _target(target, in_place=False).values()
        container = {"name": "app", "image": "triage:1", "ports": [{"containerPort": 8080}]}
        labels = {"app": name}
        annotations = {ANNOTATION_WORKFLOW: self.name} if consents else {}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body: Object = {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "replicas": replicas,
                "revisionHistoryLimit": history,
                "selector": {"matchLabels": labels},
                "template": template,
            },
        }
        if kind == DAEMON_SETS.kind:
            del body["spec"]["replicas"]
        self.server.create(WORKLOADS["apps/v1", kind], NAMESPACE, body, _USER)

    def publish(
        self, revision: str, *, content: str | None = None, managed: bool = False, **life: Any
    ) -> None:
        """Somebody makes a revision; its pods live as told. `content`: that of this revision."""
        text = json.dumps({"prompt": content or revision})
        document = parse(text.encode(), Format.JSON)
        draft = Draft(workflow=self.name, revision=revision, form=Format.JSON, document=document)
        spec = build(draft)
        self._digests[spec.content_digest] = content or revision
        if content is None:
            self.kubelet.lives[spec.content_digest] = Life(**life)
        metadata: Object = {"name": f"{self.name}-{revision}"}
        if managed:
            metadata["labels"] = {LABEL_MANAGED: "true"}
        body = {"metadata": metadata, "spec": received(spec.to_api())}
        self.server.create(REVISIONS, NAMESPACE, body, _USER)
        self.tale.tell("user", f"publishes {revision}")

    def lives(self, revision: str, **life: Any) -> None:
        """From now on pods with this content live otherwise."""
        digest = next(d for d, name in self._digests.items() if name == revision)
        self.kubelet.lives[digest] = Life(**life)

    def workflow(
        self,
        revision: str,
        targets: tuple[str, ...] = ("triage",),
        in_place: tuple[str, ...] = (),
        reload: tuple[str, ...] = (),
        **spec: Any,
    ) -> None:
        """Somebody makes the Workflow; the targets named by `in_place` watch the pointer.

        Those named by `reload` do, too, and are engines.
        """
        self.kubelet.watching |= {*in_place, *reload}
        told = {t: {"update": "Reload"} for t in reload}
        verification = {"checks": [CHECK], "window": "20s", **spec.pop("verification", {})}
        body = {
            "metadata": {"name": self.name},
            "spec": {
                "activeRevision": revision,
                "target": {
                    "workloads": [_target(t, t in in_place) | told.get(t, {}) for t in targets]
                },
                "verification": verification,
                **spec,
            },
        }
        self.server.create(WORKFLOWS, NAMESPACE, body, _USER)
        self.tale.tell("user", f"creates Workflow {self.name}, activeRevision {revision}")

    def instance(self, resource: Resource, name: str, *, suspended: bool | None = None) -> None:
        """Somebody starts a run of the workflow, or a schedule for runs."""
        pod = {"containers": [{"name": "run", "image": "triage:1"}]}
        spec: Object = {"template": {"spec": pod}}
        if suspended is not None:
            spec["suspend"] = suspended
        body = {"metadata": {"name": name, "labels": {"run-of": self.name}}, "spec": spec}
        self.server.create(resource, NAMESPACE, body, _USER)

    def begins_runs(self, *names: str) -> None:
        """Callers begin runs in the engines of the pods, one after the other.

        A Service sends nobody to a pod that is being deleted.
        """
        there = (p["metadata"] for p in self.server.list(PODS, NAMESPACE))
        pods = [pod for pod in there if "deletionTimestamp" not in pod]
        processes = self.machine.world.processes
        digest = self.seen()["status"]["active"]["contentDigest"]
        for number, name in enumerate(names):
            pod = pods[number % len(pods)]
            here = processes.setdefault(pod["uid"], Process(pod["name"]))
            here.runs[name] = RunTold(
                id=name, content_digest=digest, status=RunState.RUNNING, holder=None
            )
        self.tale.tell("callers", f"begin {', '.join(names)}")

    def contents_of_runs(self) -> dict[str, str]:
        """What each run is of, by the name of its revision."""
        found = [run for process in self._engines() for run in process.runs.values()]
        return {run.id: self._digests[run.content_digest] for run in found}

    def _mounted(self, uid: str) -> str:
        pods = (p for p in self.server.list(PODS, NAMESPACE) if p["metadata"]["uid"] == uid)
        annotations = next((p["metadata"].get("annotations") or {} for p in pods), {})
        return str(annotations.get(ANNOTATION_CONTENT_DIGEST, ""))

    def loses_pod_of(self, run: str) -> None:
        """The node of a pod fails: nothing of it is left."""
        name = next(p.name for p in self._engines() if run in p.runs)
        self.tale.tell("node", f"loses pod {name}")
        self.server.delete(PODS, NAMESPACE, name)

    def breaks_before_it_pauses(self, run: str) -> None:
        """The node of a run's pod fails when that is told to pause; callers begin one elsewhere."""
        gone, left = sorted(self._engines(), key=lambda p: run not in p.runs)

        def fails() -> None:
            gone.dumb = True
            self.loses_pod_of(run)
            told = next(iter(left.runs.values())).model_copy(update={"id": "run-3"})
            left.runs["run-3"] = told
            self.tale.tell("callers", "begin run-3")

        gone.at_pause = fails

    def comes_to_a_stand(self, run: str) -> None:
        """A run that was told to pause does so at last."""
        for process in self.machine.world.processes.values():
            if run in process.runs:
                still = process.runs[run].model_copy(update={"status": RunState.PAUSED})
                process.runs[run] = still
        self.tale.tell("engine", f"{run} stands still")

    def damages(self, backup: str) -> Object:
        """Somebody deletes a part of a backup: that part, for `mends`."""
        secrets = {s["metadata"]["name"]: s for s in self.server.list(SECRETS, NAMESPACE)}
        name = next(n for n in secrets if n.startswith(backup) and not n.endswith("-index"))
        self.tale.tell("somebody", f"deletes Secret {name}")
        self.server.delete(SECRETS, NAMESPACE, name)
        return secrets[name]

    def mends(self, part: Object) -> None:
        """Somebody brings back what was deleted of a backup."""
        kept = {k: v for k, v in part["metadata"].items() if k in ("name", "labels")}
        self.tale.tell("somebody", f"brings Secret {kept['name']} back")
        self.server.create(SECRETS, NAMESPACE, {**part, "metadata": kept}, _USER)

    def goes_deaf(self) -> Process:
        """The newest pod's engine answers nothing from now on."""
        pods = (p["metadata"] for p in self.server.list(PODS, NAMESPACE))
        pod = max(pods, key=lambda p: str(p["name"]))
        self.tale.tell("engine", f"{pod['name']} does not answer any more")
        process = self.machine.world.processes.setdefault(pod["uid"], Process(pod["name"]))
        process.dumb = True
        return process

    def deletes_workflow(self, who: str = "user") -> None:
        self.tale.tell(who, f"deletes Workflow {self.name}")
        self.server.delete(WORKFLOWS, NAMESPACE, self.name)

    async def sweeps(self) -> None:
        """Belay looks for what no rollout holds any more; a look that it dies in begins anew."""
        while True:
            look = asyncio.create_task(self._sweeps())
            await asyncio.wait({look})
            if not look.cancelled():
                return await look

    async def _sweeps(self) -> None:
        api = self.machine.parts.cluster
        engines = self.machine.world.engines(Credentials(api), SecretStore(api))
        found = await orphans.marked(api, orphans.Kinds(SHIPPED), (None,))
        free = await orphans.orphans(api, found.found)
        released = await orphans.release(api, engines, free)  # type: ignore[arg-type]
        for told in (*released.done, *released.refused):
            self.tale.tell("Belay", told)

    def rejects(self, revision: str) -> None:
        """No engine can run this revision."""
        digest = next(d for d, name in self._digests.items() if name == revision)
        for process in self.machine.world.processes.values():
            process.rejects.add(digest)

    def strays(self) -> None:
        """Somebody calls the admin port of one engine."""
        process = min(self.machine.world.processes.values(), key=lambda p: p.name)
        self.tale.tell("somebody", f"has {process.name} use another content for new runs")
        process.active = f"sha256:{'0' * 64}"

    def runs_of_engine(self) -> dict[str, str]:
        """The runs of all pods that are there, and where each is."""
        found = [run for process in self._engines() for run in process.runs.values()]
        return {run.id: run.status.value for run in found}

    def closed(self) -> list[str]:
        """Pods whose engine takes no new runs, without those that end."""
        pods = (p["metadata"] for p in self.server.list(PODS, NAMESPACE))
        stay = {pod["name"] for pod in pods if "deletionTimestamp" not in pod}
        return [p.name for p in self._engines() if p.holders and p.name in stay]

    def _engines(self) -> list[Process]:
        there = {p["metadata"]["uid"] for p in self.server.list(PODS, NAMESPACE)}
        return [p for uid, p in self.machine.world.processes.items() if uid in there]

    def resumes(self, resource: Resource, name: str, who: str) -> None:
        """Somebody resumes what Belay has paused."""
        self.tale.tell(who, f"resumes {resource.kind} {name}")
        self._edit(resource, name, lambda b: b["spec"].update(suspend=False), who)

    def suspended(self) -> dict[str, bool]:
        """Whether each Job and CronJob is suspended."""
        found = [*self.server.view(CRON_JOBS), *self.server.view(JOBS)]
        return {b["metadata"]["name"]: b["spec"]["suspend"] for b in found}

    def wants(self, revision: str) -> None:
        """Patch spec.activeRevision."""
        self.patches("activeRevision", revision)

    def patches(self, name: str, value: Any) -> None:
        """Patch one field of the Workflow's spec."""
        self.tale.tell("user", f"patches spec.{name} to {json.dumps(value).strip(chr(34))}")
        self._edit(WORKFLOWS, WORKFLOW, lambda body: body["spec"].update({name: value}))

    def annotates(self, name: str, value: str) -> None:
        """Annotate the Workflow."""
        self.tale.tell("user", f"annotates the Workflow with belay.dev/{name}={value}")
        self._edit(WORKFLOWS, WORKFLOW, lambda b: _annotate(b, f"belay.dev/{name}", value))

    def consents(self) -> None:
        """The Deployment's owner lets the Workflow move it."""
        self.tale.tell("owner", f"annotates Deployment triage with belay.dev/workflow={WORKFLOW}")
        self._edit(DEPLOYMENTS, "triage", lambda b: _annotate(b, ANNOTATION_WORKFLOW, WORKFLOW))

    def scales(self, replicas: int, who: str = "user") -> None:
        """Set the Deployment's replicas."""
        self.tale.tell(who, f"scales Deployment triage to {replicas}")
        self._edit(DEPLOYMENTS, "triage", lambda b: b["spec"].update(replicas=replicas))

    def changes_template(self, who: str, image: str) -> None:
        """Somebody else changes the Deployment's image in mid-rollout."""
        self.tale.tell(who, f"sets the image of Deployment triage to {image}")

        def change(body: Object) -> None:
            body["spec"]["template"]["spec"]["containers"][0]["image"] = image

        self._edit(DEPLOYMENTS, "triage", change)

    def loses_status(self, **spec: str) -> None:
        """The Workflow is restored from a backup: without its status, and with other wishes."""
        wishes = f" that wants {spec['wants']}" if spec else ""
        self.tale.tell("restore", f"brings Workflow {WORKFLOW}{wishes} back without its status")
        body = self.seen()
        del body["status"]
        self.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)
        if spec:
            body["spec"]["activeRevision"] = spec["wants"]
        metadata = {"name": WORKFLOW}
        self.server.create(WORKFLOWS, NAMESPACE, {**body, "metadata": metadata}, _USER)

    def replaces_deployment(self, who: str) -> None:
        """Write the Deployment whole, as it is in Git."""
        self.tale.tell(who, "replaces Deployment triage by the one from Git")

        def replace(body: Object) -> None:
            template = body["spec"]["template"]
            template["metadata"].pop("annotations")
            template["spec"].pop("volumes")
            template["spec"]["containers"][0].pop("volumeMounts")

        self._edit(DEPLOYMENTS, "triage", replace, who)

    def edits_pointer(self) -> None:
        """Change the definition in the ConfigMap that workloads updated in place watch."""
        name = f"{WORKFLOW}{POINTER_SUFFIX}"
        self.tale.tell("on call", f"edits the definition in ConfigMap {name}")
        self._edit(CONFIG_MAPS, name, lambda b: b["data"].update({Format.JSON.file_name: "{}"}))

    def undoes_to(self, revision: str) -> None:
        """`kubectl rollout undo`: the template of an older ReplicaSet comes back."""
        self.tale.tell("on call", f"undoes Deployment triage to the content of {revision}")
        templates = [r["spec"]["template"] for r in self.server.list(REPLICA_SETS, NAMESPACE)]
        (older,) = [t for t in templates if self._content(t) == revision]
        older["metadata"]["labels"].pop("pod-template-hash")
        self._edit(
            DEPLOYMENTS, "triage", lambda b: b["spec"].update(template=older), "kubectl-rollout"
        )

    def lacks_quota(self, why: str) -> None:
        """From now on no pod of a StatefulSet or DaemonSet may be made; "": they may again."""
        self.tale.tell("quota", "forbids new pods" if why else "allows new pods")
        self.controllers.revisioned.quota = why
        self.controllers.step()

    def breaks_network(self) -> None:
        self.tale.tell("network", "nothing from Belay reaches the pods any more")
        self.kubelet.unreachable = True

    def mends_network(self) -> None:
        self.tale.tell("network", "the pods can be reached again")
        self.kubelet.unreachable = False

    async def until(self, seen: Seen) -> None:
        """Wait until the Workflow looks like this."""
        if seen(self.seen()):
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((seen, future))
        async with asyncio.timeout(3600):
            await future

    async def phase(self, phase: str) -> None:
        await self.until(lambda w: w.get("status", {}).get("phase") == phase)

    async def rest(self) -> None:
        """Wait until the present wish came to an end."""
        await self.until(
            lambda w: (
                w.get("status", {}).get("phase") in _OUTCOMES
                and w["status"].get("observedGeneration") == w["metadata"]["generation"]
            )
        )

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def seen(self) -> Object:
        return self.server.get(WORKFLOWS, NAMESPACE, self.name)

    def runs(self) -> dict[str, int]:
        """Ready pods by the content that they run, such as {"triage: v1": 2}."""
        found: dict[str, int] = {}
        for pod in self.server.view(PODS, NAMESPACE):
            preview = "preview" if LABEL_PREVIEW in pod["metadata"]["labels"] else ""
            place = preview or pod["metadata"]["labels"]["app"]
            digest = self.kubelet.content(pod)
            content = self._digests.get(digest, "?") if digest else "its own template"
            state = "" if ready(pod) else ", not ready"
            found[f"{place}: {content}{state}"] = found.get(f"{place}: {content}{state}", 0) + 1
        return dict(sorted(found.items()))

    def kept(self) -> list[str]:
        """Contents whose ConfigMaps are kept."""
        maps = [m for m in self.server.list(CONFIG_MAPS, NAMESPACE) if m.get("immutable")]
        return [
            self._digests[m["metadata"]["annotations"][ANNOTATION_CONTENT_DIGEST]] for m in maps
        ]

    def pointed(self) -> str | None:
        """The content that the pointer of workloads updated in place names; None without one."""
        for found in self.server.list(CONFIG_MAPS, NAMESPACE):
            if found["metadata"]["name"].endswith(POINTER_SUFFIX):
                return self._digests[found["metadata"]["annotations"][ANNOTATION_CONTENT_DIGEST]]
        return None

    def named(self, digests: set[str]) -> set[str]:
        """Names under which these contents were published first."""
        return {self._digests[digest] for digest in digests}

    def _content(self, template: Object) -> str:
        digest = template["metadata"].get("annotations", {}).get(ANNOTATION_CONTENT_DIGEST)
        return self._digests.get(digest, "")

    def _edit(
        self,
        resource: Resource,
        name: str,
        change: Callable[[Object], None],
        who: str = "kubectl-edit",
    ) -> None:
        body = self.server.get(resource, NAMESPACE, name)
        change(body)
        self.server.replace(resource, NAMESPACE, body, Write(Entry(who, "Update", "")))

    def _happened(self, event: Event) -> None:
        mine = event.id == (WORKFLOWS, NAMESPACE, self.name)
        if not self._waiting or event.kind == "DELETED" or not (mine or event.id[0] == JOBS):
            return
        body = event.body if mine else self.seen()
        for waiting in [w for w in self._waiting if w[0](body)]:
            self._waiting.remove(waiting)
            if not waiting[1].done():
                waiting[1].set_result(None)


def _target(text: str, in_place: bool) -> Object:
    more = {"update": "InPlace", "reports": {"port": 8080}} if in_place else {}
    kind, _, name = text.rpartition("/")
    return {"kind": kind or DEPLOYMENTS.kind, "name": name, **more}


def _annotate(body: Object, name: str, value: str) -> None:
    body["metadata"]["annotations"] = {**body["metadata"].get("annotations", {}), name: value}
