"""Stories of runs that somebody brings back from a backup."""

from tests.scenario.plots.engine import ROLLING
from tests.scenario.scene import NAMESPACE, Scene
from tests.scenario.stage import story

from belay.shell.resources import CONFIG_MAPS


async def _moved_on(scene: Scene) -> str:
    """v2 is promoted, and its runs have gone on in new pods; the name of the backup."""
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs("run-1", "run-2")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    return str(scene.seen()["status"]["rollout"]["backup"])


async def _restored(scene: Scene, reason: str) -> str:
    """What came of it in the end."""
    token = scene.seen()["metadata"]["annotations"]["belay.dev/restore"]
    await scene.until(
        lambda w: (
            w["status"].get("lastHandledRestore") == token and "endedAt" in w["status"]["restore"]
        )
    )
    told = scene.seen()["status"]["restore"]
    assert told["reason"] == reason, told
    return str(told["message"])


@story(
    "Runs are brought back from their backup",
    """The pod of run-1 crashes after its runs went on there. Somebody asks for the backup: a run
    that had gone on may have come to its end, so nothing is given. Asked for all the same, run-1
    goes on once more from where it was paused; run-2 is left where it is.""",
)
async def engine_restored(scene: Scene) -> None:
    backup = await _moved_on(scene)
    scene.loses_pod_of("run-1")
    await scene.passes(3)
    scene.annotates("restore", backup)
    told = await _restored(scene, "RestoreFailed")
    assert "1 had gone on before and are in no pod (run-1)" in told
    assert f'belay.dev/restore="{backup}/all/' in told
    assert scene.machine.world.resumed.count("run-1") == 1
    scene.annotates("restore", f"{backup}/all/2")
    await _restored(scene, "Restored")
    assert scene.runs_of_engine() == {"run-1": "running", "run-2": "running"}
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-1", "run-2"]
    await scene.passes(65)
    assert scene.machine.world.resumed.count("run-1") == 2


@story(
    "Nothing can be restored",
    """Somebody asks for a backup that is not there, then for one that is damaged, and then while no
    pod is ready. Each time it is told why, and nothing is changed.""",
)
async def engine_not_restored(scene: Scene) -> None:
    backup = await _moved_on(scene)
    record = scene.server.get(CONFIG_MAPS, NAMESPACE, backup)
    for run in ("run-1", "run-2"):
        scene.loses_pod_of(run)
    await scene.passes(3)
    scene.annotates("restore", "wf-2-runs-uid-0003-2-1-1")
    assert "is no name of a backup of this Workflow" in await _restored(scene, "RestoreFailed")
    scene.annotates("restore", backup.replace("2-1-1", "9-1-1"))
    assert "there is no backup" in await _restored(scene, "RestoreFailed")
    part = scene.damages(backup)
    scene.annotates("restore", f"{backup}/all")
    assert "is damaged" in await _restored(scene, "RestoreFailed")
    scene.scales(0)
    await scene.passes(5)
    scene.mends(part)
    scene.annotates("restore", f"{backup}/all/2")
    assert "no pod of the engine is ready" in await _restored(scene, "RestoreFailed")
    assert scene.server.get(CONFIG_MAPS, NAMESPACE, backup) == record
    assert sorted(scene.machine.world.resumed) == ["run-1", "run-2"]


@story(
    "A newer wish while runs are restored",
    """Somebody asks for runs while no pod is ready, and then wants v3. The rollout goes first, and
    the restore ends: whoever wants it yet asks again.""",
)
async def engine_restore_gives_way(scene: Scene) -> None:
    backup = await _moved_on(scene)
    scene.publish("v3")
    scene.loses_pod_of("run-1")
    scene.scales(0)
    await scene.passes(2)
    scene.annotates("restore", f"{backup}/all")
    await scene.passes(2)
    scene.scales(2)
    scene.wants("v3")
    await scene.rest()
    assert "began meanwhile" in await _restored(scene, "RestoreFailed")
    assert "run-1" not in scene.runs_of_engine()
