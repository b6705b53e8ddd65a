"""Checks that go on at rest, over a restart of the operator: they tell, and nothing else."""

from collections.abc import Callable

import pytest
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Object, condition, ready


def serving(verdict: str, reason: str) -> Callable[[Object], bool]:
    def good(found: Object) -> bool:
        said = condition(found, "Serving")
        return (said["status"], said["reason"]) == (verdict, reason)

    return good


@pytest.mark.usefixtures("own_place")
async def test_a_pod_that_turns_bad_at_rest_is_told_until_it_is_good_again(
    bench: Bench, begin: Begin
) -> None:
    """Events of the last rollout are told again after a restart; the server has them already."""
    flow = await begin(steady={"period": "1s"})
    await flow.apply()
    await flow.looked_at()
    mark = bench.mark()
    (pod,) = await bench.pods()
    await bench.tell(pod["metadata"]["name"], code=500)
    found = await flow.until(serving("False", "CheckFailed"))
    assert "got 500 instead of 200" in condition(found, "Serving")["message"]
    bench.operator.kill()
    bench.operator.start()
    await flow.looked_at()
    await bench.tell(pod["metadata"]["name"], code=200)
    found = await flow.until(serving("True", "CheckPassed"))
    assert ready(found)["status"] == "True"
    assert found["status"]["phase"] == "Promoted"
    expected = {"patch workflows/status": 2}
    writes = await bench.wrote(mark, expected)
    writes.pop("create events", None)
    assert writes == expected
    assert [p["metadata"]["uid"] for p in await bench.pods()] == [pod["metadata"]["uid"]]
