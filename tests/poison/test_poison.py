"""Nothing hostile gets past the schema and breaks what reads it; all ends in words."""

import time
from collections import Counter
from itertools import islice
from random import Random

import pytest
from pydantic import ValidationError
from tests.harness.cluster import Cluster
from tests.harness.direct import direct
from tests.poison import mutants
from tests.unit.core.properties import consistent
from tests.unit.core.toy import Toy

from belay.api.revision import WorkflowRevisionSpec
from belay.api.words import ConditionType
from belay.api.workflow import TargetKind, WorkflowSpec
from belay.core.observed import DamagedRevision
from belay.shell.errors import Invalid
from belay.shell.resources import REVISIONS, WORKFLOWS
from belay.shell.revisions import _verified

MANY, MANY_FULL = 500, 30_000
"""Of each kind, for the core."""
SENT, SENT_FULL = 150, 3_000
"""Of each kind, to the API server."""
TURNS = 6
LONGEST_MESSAGE = 2048


def count(request: pytest.FixtureRequest, few: int, many: int) -> int:
    return many if request.config.getoption("--full") else few


@pytest.mark.timeout(1800)
def test_any_revision_is_read_or_called_damaged_with_the_reason(
    seed: int, request: pytest.FixtureRequest
) -> None:
    """And no single one takes so long that its neighbours would notice."""
    ends, slowest = Counter[str](), 0.0
    for body in islice(mutants.revisions(Random(seed)), count(request, MANY, MANY_FULL)):
        began = time.process_time()
        found = _verified("triage-v1", "uid-of-v1", body["spec"])
        slowest = max(slowest, time.process_time() - began)
        ends[type(found).__name__] += 1
        if isinstance(found, DamagedRevision):
            assert found.damage.strip(), body
    print(f"{ends}, slowest {slowest:.2f} s of CPU")
    assert ends["DamagedRevision"] > 0


@pytest.mark.timeout(1800)
def test_any_workflow_that_has_a_valid_spec_ends_in_a_condition_that_explains(
    seed: int, request: pytest.FixtureRequest
) -> None:
    """With a revision that may be hostile itself."""
    random = Random(seed)
    revisions = mutants.revisions(random)
    ends = Counter[str]()
    for body in islice(mutants.workflows(random), count(request, MANY, MANY_FULL)):
        try:
            spec = WorkflowSpec.model_validate(body["spec"])
        except ValidationError:
            ends["refused by the schema"] += 1
            continue
        if any(w.kind is not TargetKind.DEPLOYMENT or w.in_place for w in spec.target.workloads):
            ends["left out"] += 1
            continue
        toy = Toy(spec)
        if random.random() < 0.5:
            raw = next(revisions)["spec"]
            toy.revisions["v1"] = _verified("triage-v1", "uid-of-v1", raw)
        for _ in range(TURNS):
            toy.turn().kubelet().probe().advance(90_000)
        consistent(toy.status, toy.generation)
        assert 0 < len(toy.message(ConditionType.READY)) <= LONGEST_MESSAGE
        ends[toy.status.phase] += 1
    print(ends)
    assert len(ends) > 1


@pytest.mark.usefixtures("crds")
@pytest.mark.timeout(1800)
def test_what_the_api_server_stores_is_valid_for_the_operator_too(
    cluster: Cluster, namespace: str, seed: int, request: pytest.FixtureRequest
) -> None:
    """Or it would be skipped with a line in the log, and no condition would explain it."""
    api, random, stored = direct(cluster.kubeconfig), Random(seed), Counter[str]()
    api.create(WORKFLOWS, namespace, mutants.workflow(), dry_run=True)
    for kind, bodies, model in (
        (WORKFLOWS, mutants.workflows(random), WorkflowSpec),
        (REVISIONS, mutants.revisions(random), WorkflowRevisionSpec),
    ):
        for body in islice(bodies, count(request, SENT, SENT_FULL)):
            try:
                made = api.create(kind, namespace, body, validation="Ignore", dry_run=True)
            except Invalid:
                stored[f"{kind.kind} refused"] += 1
            else:
                model.model_validate(made["spec"])
                stored[f"{kind.kind} stored"] += 1
    print(stored)
    assert stored["Workflow stored"] > 0
    assert stored["WorkflowRevision stored"] > 0
