"""Stories of runs inside an engine: paused, kept, moved, and never lost in silence."""

from typing import Any

from tests.scenario.plots.bad import ASIDE_IS_OFF
from tests.scenario.scene import Scene
from tests.scenario.stage import story

ENGINE: dict[str, Any] = {
    "engine": {"port": 8080, "tokenFrom": {"secretKeyRef": {"name": "engine", "key": "token"}}}
}
ROLLING: dict[str, Any] = {"instances": ENGINE, "verification": ASIDE_IS_OFF}
RELOAD: dict[str, Any] = {"instances": ENGINE, "reload": ("triage",)}


@story(
    "Runs of an engine and new pods",
    """Three runs are in flight when v2 is wanted. They are paused and kept; the pods are replaced,
    and each run goes on in a new pod with the content that it began with.""",
)
async def engine_rolling(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2", "run-3")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == dict.fromkeys(("run-1", "run-2", "run-3"), "running")
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2", "run-3"]


@story(
    "Runs of an engine and a bad revision",
    """v2 fails its gate. The runs, which only the backup has by then, go on in the pods of v1.""",
)
async def engine_rolling_back(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]


@story(
    "A good change by reload",
    """The pods are told of v2 by the engine contract: all validate it, then all use it for new
    runs. Runs in flight are paused in memory and go on; no pod is new.""",
)
async def reload_good_change(scene: Scene) -> None:
    await scene.stable_on("v1", **RELOAD)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}


@story(
    "A revision that an engine rejects",
    """v2 cannot be built by the engine. No pod uses it and the pointer stays: the rollout ends
    before anything has changed, and v2 is in quarantine.""",
)
async def reload_rejected(scene: Scene) -> None:
    await scene.stable_on("v1", **RELOAD)
    scene.begins_runs("run-1")
    scene.publish("v2")
    scene.rejects("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running"}


@story(
    "Runs that are pinned",
    """Runs are to be left alone. v2 is brought to the pods by reload while they go on with what
    they began with, and intake stays open. Then v3 fails: on the way back they are left alone,
    too. A pod that uses another content afterwards is set right.""",
)
async def reload_pinned(scene: Scene) -> None:
    pinned = {"engine": {**ENGINE["engine"], "policy": "Pin"}}
    await scene.stable_on("v1", **{**RELOAD, "instances": pinned})
    scene.begins_runs("run-1", "run-2")
    scene.machine.world.slow.add("run-2")
    scene.publish("v2")
    scene.publish("v3", wrong_after=0)
    scene.wants("v2")
    await scene.rest()
    counts = scene.seen()["status"]["rollout"]["instances"]
    assert (counts["found"], counts["pinned"], counts.get("paused", 0)) == (2, 2, 0)
    scene.wants("v3")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    scene.strays()
    await scene.passes(40)
    assert len({p.active for p in scene.machine.world.processes.values()}) == 1
    assert (scene.machine.world.resumed, scene.closed(), scene.machine.world.paused) == ([], [], 0)


RESTART: dict[str, Any] = {"engine": {**ENGINE["engine"], "afterwards": "Restart"}}


@story(
    "Runs that begin anew",
    """Runs are to begin anew on the new revision. The pods are replaced, and run-1 and run-2 begin
    in new pods on v2. v2 does not take the inputs of run-3: it goes on with v1.""",
)
async def engine_restart(scene: Scene) -> None:
    await scene.stable_on("v1", **{**ROLLING, "instances": RESTART})
    scene.begins_runs("run-1", "run-2", "run-3")
    scene.machine.world.fussy.add("run-3")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.contents_of_runs() == {"run-1": "v2", "run-2": "v2", "run-3": "v1"}
    assert sorted(scene.machine.world.restarted) == ["run-1", "run-2"]
    counts = scene.seen()["status"]["rollout"]["instances"]
    assert (counts["restarted"], counts["resumed"]) == (2, 1)


@story(
    "Runs that began on what failed",
    """v2 passes its gate, and run-2 begins on it; run-1 is of v1. Then v2 fails on real traffic. On
    the way back both are paused and kept. run-1 goes on, and run-2 begins anew on v1.""",
)
async def engine_restart_after_revert(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1")
    scene.publish("v2", wrong_after=10)
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(1)
    scene.begins_runs("run-2")
    await scene.rest()
    assert scene.contents_of_runs() == {"run-1": "v1", "run-2": "v1"}
    assert scene.machine.world.restarted == ["run-2"]
    assert scene.machine.world.resumed == ["run-1", "run-1"]


@story(
    "An engine that cannot begin a run anew",
    """Runs are to begin anew, and the engine cannot do that. The wish is refused before anything is
    touched; once runs are to go on, it is delivered.""",
)
async def engine_restart_refused(scene: Scene) -> None:
    await scene.stable_on("v1", **{**RELOAD, "instances": RESTART})
    scene.machine.world.restarts = False
    asked_before = scene.machine.world.paused
    scene.begins_runs("run-1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.seen()["status"]["phase"] == "Refused"
    assert scene.machine.world.paused == asked_before
    scene.patches("instances", ENGINE)
    await scene.rest()
    assert scene.contents_of_runs() == {"run-1": "v1"}
    assert (scene.machine.world.restarted, scene.machine.world.resumed) == ([], ["run-1"])


@story(
    "A run that comes to no safe point",
    """run-2 does not pause. At the deadline the rollout ends before anything is delivered, and what
    was paused goes on.""",
)
async def engine_never_pauses(scene: Scene) -> None:
    await scene.stable_on("v1", deadlines={"pause": "10s"}, **ROLLING)
    scene.machine.world.slow.add("run-2")
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}


@story(
    "A pod uses another content at rest",
    """Somebody tells one pod to use something else for new runs. It is told, and set right there
    without a rollout.""",
)
async def reload_drift(scene: Scene) -> None:
    await scene.stable_on("v1", **RELOAD)
    scene.strays()
    await scene.passes(40)
    assert len({p.active for p in scene.machine.world.processes.values()}) == 1


@story(
    "A pod ends before its runs were kept",
    """The pod of run-2 is gone before its state was stored. The rollout goes on, and run-2 is
    reported lost by its name.""",
)
async def engine_pod_lost(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.machine.world.slow.add("run-1")
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.until(lambda w: "not at a safe point" in str(w.get("status", {}).get("conditions")))
    scene.loses_pod_of("run-2")
    await scene.passes(1)
    scene.comes_to_a_stand("run-1")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running"}


@story(
    "A newer wish while runs are kept",
    """v2 gets no ready pod, so v3 is wished for. Runs that only the backup of v2 has by then go on
    once v3 is through its gate.""",
)
async def engine_superseded(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2", wrong_after=0)
    scene.publish("v3")
    scene.wants("v2")
    await scene.phase("Verifying")
    scene.wants("v3")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]


@story(
    "A Workflow is deleted while its runs are kept",
    """v2 is delivered, and only the backup has the runs, when the Workflow is deleted. Belay finds
    the mark on the target, and the runs go on in the new pods with what they began with. A
    Workflow of the same name that is made later finds v2 running.""",
)
async def engine_orphaned(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Verifying")
    assert set(scene.runs_of_engine().values()) <= {"paused"}
    await scene.sweeps()
    assert scene.machine.world.resumed == []
    scene.deletes_workflow()
    await scene.sweeps()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]
    assert not scene.closed()
    scene.workflow("v2", **ROLLING)
    await scene.rest()
    await scene.sweeps()
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]


@story(
    "A pod answers too late for its runs",
    """One of the new pods does not answer until the deadline of Resuming is over. The rollout ends
    and says that two runs are left; Belay goes on looking, and they go on as soon as they can.""",
)
async def engine_resumed_later(scene: Scene) -> None:
    await scene.stable_on("v1", deadlines={"resume": "10s"}, **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Verifying")
    deaf = scene.goes_deaf()
    await scene.rest()
    assert scene.seen()["status"]["rollout"]["instances"]["notResumed"] == 2
    await scene.sweeps()
    assert scene.machine.world.resumed == []
    deaf.dumb = False
    await scene.sweeps()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]
    assert not scene.closed()


@story(
    "A newer wish for runs that are left",
    """Two runs of v1 could not be resumed when v2 was through its gate, as a pod did not answer.
    It answers again, and v3 is wished for: its backup takes over what is left, and they go on.""",
)
async def engine_left_and_superseded(scene: Scene) -> None:
    await scene.stable_on("v1", deadlines={"resume": "10s"}, **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.publish("v3")
    scene.wants("v2")
    await scene.phase("Verifying")
    deaf = scene.goes_deaf()
    await scene.rest()
    deaf.dumb = False
    scene.wants("v3")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]


@story(
    "A Workflow is made anew while its runs are paused",
    """v2 is delivered, and only the backup has the runs, when the Workflow is deleted and made anew
    at once; soon it wants v3. Its pause waits until Belay has let the runs of the deleted one go
    on. Then they are paused and kept once more, though its rollout has the same id as the one that
    was under way.""",
)
async def engine_made_anew(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.publish("v3")
    scene.wants("v2")
    await scene.phase("Verifying")
    scene.deletes_workflow()
    scene.workflow("v2", **ROLLING)
    await scene.rest()
    scene.wants("v3")
    await scene.until(
        lambda w: "still paused for a Workflow that is gone" in str(w["status"].get("conditions"))
    )
    assert scene.seen()["status"]["phase"] == "Pausing"
    await scene.sweeps()
    await scene.rest()
    await scene.sweeps()
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-1", "run-2", "run-2"]
    assert not scene.closed()


@story(
    "A pod ends as soon as it was asked",
    """run-1 was seen in a pod that is gone before it has paused. The record knows it from the first
    look, so it is reported lost by its name; run-3, which began meanwhile, is noted, too.""",
)
async def engine_pod_lost_at_once(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.breaks_before_it_pauses("run-1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    assert scene.runs_of_engine() == {"run-2": "running", "run-3": "running"}
    counts = scene.seen()["status"]["rollout"]["instances"]
    assert (counts["lostRuns"], counts["resumed"]) == (["run-1"], 2)
