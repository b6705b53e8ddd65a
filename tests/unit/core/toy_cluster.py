"""The objects of a toy cluster, and what controllers, kubelets and people do to them."""

from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime
from enum import Enum, auto
from typing import Self

from tests.unit.core import world
from tests.unit.core.world import NOW, Raw, seconds

from belay.api.names import (
    ANNOTATION_CONTENT_DIGEST,
    ANNOTATION_REVISION,
    LABEL_PAUSED_BY,
    MANAGER_DELIVERY,
    VOLUME,
)
from belay.core.decision import InstanceWrite
from belay.core.observed import ConfigMapView

_REVISION = "deployment.kubernetes.io/revision"
_QUOTA = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=2"}]


class Mode(Enum):
    """How pods with one content behave."""

    GOOD = auto()
    WRONG = auto()
    """Ready, and answers wrongly."""
    SILENT = auto()
    """Ready, and no probe gets through."""
    UNREADY = auto()
    """Runs and never gets ready."""
    CRASHING = auto()
    NO_IMAGE = auto()
    NO_ROOM = auto()
    NO_QUOTA = auto()
    """The workload's controller may make no pods."""


class ToyCluster:
    """Targets, their pods, instances and ConfigMaps, as raw objects, at one moment."""

    def __init__(self, workloads: Iterable[str]) -> None:
        self.now = NOW
        self.modes: dict[str, Mode] = {}
        """By content digest; good where nothing is said."""
        self.workloads: dict[str, Raw] = {name: world.deployment(name) for name in workloads}
        self.replica_sets: list[Raw] = []
        self.pods: list[Raw] = []
        self.preview: Raw | None = None
        self.instances: list[Raw] = []
        self.config_maps: dict[str, ConfigMapView] = {}
        self._made = 0

    def change_image(self, image: str, name: str = "triage") -> Self:
        """Somebody else changes the pod template."""
        raw = self.workloads[name]
        raw["spec"]["template"]["spec"]["containers"][0]["image"] = image
        return self.touched(raw, "kubectl-set")

    def undo(self, name: str = "triage") -> Self:
        """Somebody else takes our fields out of the template."""
        raw = self.workloads[name]
        raw["spec"]["template"] = applied(raw["spec"]["template"], None)
        return self.touched(raw, "kubectl-rollout")

    def starts(self, *names: str, kind: str = "Job", suspended: bool = False) -> Self:
        """Somebody starts instances."""
        for name in names:
            self.instances.append(world.instance(kind, name, suspended=suspended))
        return self

    def resumes(self, name: str) -> Self:
        """Somebody else lets an instance go on."""
        for raw in self.instances:
            if raw["metadata"]["name"] == name:
                raw["spec"]["suspend"] = False
        return self

    @property
    def held(self) -> list[str]:
        """Names of instances that carry our label."""
        labelled = (r["metadata"] for r in self.instances if r["metadata"].get("labels"))
        return [m["name"] for m in labelled if LABEL_PAUSED_BY in m["labels"]]

    @property
    def suspended(self) -> list[str]:
        return [r["metadata"]["name"] for r in self.instances if r["spec"]["suspend"]]

    def touched(self, raw: Raw, manager: str) -> Self:
        raw["metadata"]["generation"] += 1
        fields: Raw = {"f:spec": {"f:template": {}}}
        entry = {"manager": manager, "time": world.stamp(self.now), "fieldsV1": fields}
        raw["metadata"]["managedFields"].append(entry)
        return self

    def advance(self, time: float) -> Self:
        self.now += seconds(time)
        return self

    def carries(self, name: str = "triage") -> str | None:
        """The revision that the live template came with first."""
        annotations = self.workloads[name]["spec"]["template"]["metadata"].get("annotations") or {}
        return annotations.get(ANNOTATION_REVISION)

    def kubelet(self) -> Self:
        """Controllers and kubelet do their next piece of work."""
        for raw in self.workloads.values():
            self._roll(raw)
        if self.preview is not None:
            made = datetime.fromisoformat(self.preview["metadata"]["creationTimestamp"])
            mode = self.mode(self.preview["metadata"]["annotations"])
            self.preview = self.run_pod(self.preview["metadata"]["name"], "", self.preview, mode)
            self.preview["metadata"]["creationTimestamp"] = world.stamp(made)
        return self

    def own(self, writes: tuple[InstanceWrite, ...]) -> None:
        for write in writes:
            self._own_one(write)

    def _own_one(self, write: InstanceWrite) -> None:
        """Server-side apply of our label and the one field."""
        uid = write.body["metadata"]["uid"]
        for raw in self.instances:
            if raw["metadata"]["uid"] == uid:
                ours = LABEL_PAUSED_BY in (raw["metadata"].get("labels") or {})
                raw["metadata"]["labels"] = write.body["metadata"].get("labels", {})
                if "spec" in write.body:
                    raw["spec"] |= write.body["spec"]
                elif ours:
                    raw["spec"]["suspend"] = False

    def ensure_config_map(self, body: Raw) -> None:
        metadata = body["metadata"]
        name = metadata["name"]
        before = self.config_maps.get(name)
        owners = frozenset(o["uid"] for o in metadata["ownerReferences"])
        first = metadata["annotations"][ANNOTATION_REVISION]
        content = next(iter(body["data"].values()))
        self.config_maps[name] = ConfigMapView(
            name, f"uid-of-{name}", before.first_name if before else first, owners, content
        )

    def apply(self, body: Raw) -> None:
        """Server-side apply of our fields: what is left out goes; defaults appear."""
        raw = self.workloads[body["metadata"]["name"]]
        assert raw["metadata"]["uid"] == body["metadata"]["uid"]
        before = raw["spec"]["template"]
        after = applied(before, body.get("spec", {}).get("template"))
        if after != before:
            raw["spec"]["template"] = after
            self.touched(raw, MANAGER_DELIVERY)

    def _roll(self, raw: Raw) -> None:
        shape, name, uid = raw["spec"]["template"], raw["metadata"]["name"], raw["metadata"]["uid"]
        mine = [r for r in self.replica_sets if r["owner"] == uid]
        newest = next((r for r in mine if r["spec"]["template"] == shape), None)
        if newest is None:
            self._made += 1
            newest = {
                "owner": uid,
                "metadata": {"uid": f"rs-{self._made}", "annotations": {}},
                "spec": {"template": deepcopy(shape)},
            }
            self.replica_sets.append(newest)
        owner = newest["metadata"]["uid"]
        revisions = [int(r["metadata"]["annotations"].get(_REVISION, 0)) for r in mine]
        newest["metadata"]["annotations"][_REVISION] = str(max([0, *revisions]) + 1)
        mode = self.mode(shape["metadata"].get("annotations") or {})
        replicas = 0 if mode is Mode.NO_QUOTA else int(raw["spec"]["replicas"])
        sets = {r["metadata"]["uid"] for r in mine} | {owner}
        old = [p for p in self.pods if _owner(p) in sets - {owner}]
        new = [
            self.run_pod(
                f"{name}-{owner}-{n}", owner, {"metadata": shape["metadata"], **shape}, mode
            )
            for n in range(replicas)
        ]
        ready = sum(_ready(p) for p in new)
        kept = [] if ready == int(raw["spec"]["replicas"]) else old
        others = [p for p in self.pods if _owner(p) not in sets]
        self.pods = [*others, *kept, *new]
        raw["status"] = {
            "observedGeneration": raw["metadata"]["generation"],
            "replicas": len(kept) + len(new),
            "updatedReplicas": len(new),
            "availableReplicas": ready + sum(_ready(p) for p in kept),
            "conditions": _QUOTA if mode is Mode.NO_QUOTA else [],
        }

    def run_pod(self, name: str, owner: str, like: Raw, mode: Mode, *, started: bool = True) -> Raw:
        before = next((p for p in self.pods if p["metadata"]["name"] == name), None)
        made = before["metadata"]["creationTimestamp"] if before else world.stamp(self.now)
        states: dict[Mode, Raw] = {
            Mode.UNREADY: {"ready": False},
            Mode.CRASHING: {"ready": False, "restarts": 3},
            Mode.NO_IMAGE: {"ready": False, "state": {"waiting": {"reason": "ErrImageNeverPull"}}},
            Mode.NO_ROOM: {
                "ready": False,
                "containerStatuses": [],
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}],
            },
        }
        state = states.get(mode, {}) if started else {"ready": False, "containerStatuses": []}
        return world.pod(name, owner, like=like, created=datetime.fromisoformat(made), **state)

    def mode(self, annotations: Raw) -> Mode:
        return self.modes.get(annotations.get(ANNOTATION_CONTENT_DIGEST, ""), Mode.GOOD)

    def annotations_of(self, name: str) -> Raw:
        everyone = [*self.pods, *([self.preview] if self.preview else [])]
        return next(
            (p["metadata"]["annotations"] for p in everyone if p["metadata"]["name"] == name), {}
        )


def applied(shape: Raw, ours: Raw | None) -> Raw:
    """A pod template after our apply and the API server's defaulting."""
    after = deepcopy(shape)
    annotations = after.setdefault("metadata", {}).get("annotations") or {}
    annotations = {k: v for k, v in annotations.items() if not k.startswith("belay.dev/")}
    after["metadata"]["annotations"] = annotations
    body = after["spec"]
    body["volumes"] = [v for v in body.get("volumes") or [] if v["name"] != VOLUME]
    for container in body["containers"]:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [m for m in mounts if m["name"] != VOLUME]
    if ours is not None:
        annotations |= ours["metadata"]["annotations"]
        body["volumes"] += [_defaulted(v) for v in ours["spec"]["volumes"]]
        mounted = {c["name"]: c["volumeMounts"] for c in ours["spec"]["containers"]}
        for container in body["containers"]:
            container["volumeMounts"] += deepcopy(mounted.get(container["name"], []))
    if not annotations:
        del after["metadata"]["annotations"]
    if not body["volumes"]:
        del body["volumes"]
    for container in body["containers"]:
        if not container["volumeMounts"]:
            del container["volumeMounts"]
    return after


def _defaulted(volume: Raw) -> Raw:
    volume = deepcopy(volume)
    volume["projected"]["defaultMode"] = 420
    for source in volume["projected"]["sources"]:
        for item in source.get("downwardAPI", {}).get("items", []):
            item["fieldRef"]["apiVersion"] = "v1"
    return volume


def _owner(raw: Raw) -> str:
    return next((o["uid"] for o in raw["metadata"]["ownerReferences"]), "")


def _ready(raw: Raw) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in raw["status"]["conditions"])
