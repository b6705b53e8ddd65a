"""Where searches begin: a Workflow at rest, or a new one, and a wish that was just made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.model.state import THEIRS, Cluster, Job, Kept, Ledger, State, Wish
from tests.model.steps import natural
from tests.model.world import Mode, World
from tests.unit.core import world

from belay.api.status import WorkflowStatus
from belay.api.workflow import OnFailure, OnInconclusive, Preview


@dataclass(frozen=True)
class Scenario:
    name: str
    wish: str = "v2"
    world: World = field(default_factory=World)
    new: bool = False
    """Nothing was promoted before."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the spec."""

    def start(self) -> State:
        """Just after the wish was made."""
        if self.new:
            return _created(self.wish, tuple(self.more.items()))
        rest = at_rest(tuple(self.more.items()))
        wish = rest.cluster.wish
        spec = wish.spec.model_copy(update={"active_revision": self.wish})
        wish = replace(wish, spec=spec, generation=wish.generation + 1)
        operator = replace(rest.operator, awake=True)
        cluster = replace(rest.cluster, wish=wish)
        return replace(rest, cluster=cluster, operator=operator, ledger=Ledger())


@cache
def at_rest(more: tuple[tuple[str, Any], ...]) -> State:
    """v1 is promoted."""
    state, plain = _created("v1", more), World()
    while steps := natural(state, plain):
        state = steps[0][1]
    assert state.cluster.status.status.phase == "Promoted"
    return state


def _created(revision: str, more: tuple[tuple[str, Any], ...]) -> State:
    checks = [world.check(failure_threshold=1, success_threshold=1)]
    fields = {"preview": Preview.NONE, "checks": checks, **dict(more)}
    if fields.get("instances"):
        fields["instances"] = world.instances()
    spec = world.spec(revision, **fields)
    jobs = (Job("run"), Job(THEIRS, suspended=True, stands=True)) if spec.instances else ()
    return State(Cluster(Wish(spec), Kept(WorkflowStatus()), jobs=jobs))


def _scenario(name: str, mode: Mode = Mode.GOOD, **more: Any) -> Scenario:
    new = more.pop("new", False)
    wish = more.pop("wish", "v2")
    promotes = more.get("on_inconclusive") is OnInconclusive.PROMOTE
    return Scenario(name, wish, World({wish: mode}, promotes), new, more)


SCENARIOS = {
    s.name: s
    for s in (
        _scenario("good"),
        _scenario("wrong", Mode.WRONG),
        _scenario("late", Mode.LATE),
        _scenario("unready", Mode.UNREADY),
        _scenario("previewed", preview=Preview.POD),
        _scenario("wrong-preview", Mode.WRONG, preview=Preview.POD),
        _scenario("held", Mode.WRONG, on_failure=OnFailure.HOLD),
        _scenario("unclear", Mode.UNCLEAR),
        _scenario("unclear-preview", Mode.UNCLEAR, preview=Preview.POD),
        _scenario("unclear-late", Mode.UNCLEAR_LATE, on_inconclusive=OnInconclusive.REVERT),
        _scenario("unclear-promoted", Mode.UNCLEAR, on_inconclusive=OnInconclusive.PROMOTE),
        _scenario("same-content", wish="v1.again"),
        _scenario("paused", instances=True),
        _scenario("paused-late", Mode.LATE, instances=True),
        _scenario("first", new=True, wish="v1"),
        _scenario("first-wrong", Mode.WRONG, new=True),
    )
}
