"""What a deleted Workflow leaves, and how docs/operations.md says to take it away."""

import yaml
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench, gone, uid_name

from belay.api.names import ANNOTATION_WORKFLOW, MANAGER_DELIVERY
from belay.shell.resources import DEPLOYMENTS, WORKFLOWS


async def test_what_is_left_keeps_running_and_can_be_taken_away(bench: Bench, begin: Begin) -> None:
    await bench.deploy()
    plain = (await bench.get(DEPLOYMENTS, "app"))["spec"]["template"]
    await begin()
    runs = {uid_name(pod) for pod in await bench.pods()}
    await bench.delete(WORKFLOWS, "wf")
    await gone(bench, WORKFLOWS, "wf")
    left = await bench.config_maps()
    assert left
    assert runs <= {uid_name(pod) for pod in await bench.pods()}
    here = ("-n", bench.namespace)
    empty = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}}
    apply = ("apply", "--server-side", f"--field-manager={MANAGER_DELIVERY}", "-f", "-")
    bench.cluster.kubectl(*here, *apply, stdin=yaml.safe_dump(empty))
    bench.cluster.kubectl(*here, "annotate", "deployment", "app", f"{ANNOTATION_WORKFLOW}-")
    own = await bench.until_runs(None)
    assert own["spec"]["template"] == plain
    where = ("-l", f"{ANNOTATION_WORKFLOW}=wf")
    bench.cluster.kubectl(*here, "delete", "configmaps", *where)
    assert not left & await bench.config_maps()
