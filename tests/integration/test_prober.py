"""The prober with real connections: pods that fail, hang, flap and come back, and many of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.harness import kube
from tests.harness.cluster import Cluster as RealCluster
from tests.unit.shell.pods import (
    Behaviour,
    Connection,
    answers,
    check,
    hangs,
    probe,
    running,
    wall_clock,
)

from belay.api.check import HttpCheck
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Tally
from belay.core.keys import Key
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard
from belay.shell.checks.http_check import HttpAsker, open_session
from belay.shell.checks.prober import Prober
from belay.shell.checks.trust import Trust
from belay.shell.cluster import Cluster
from belay.shell.errors import Forbidden
from belay.shell.resources import SECRETS, Resource

ONE, OTHER = Key("shop", "wf-1"), Key("shop", "wf-2")
FAST = "100ms"


class NoSecrets:
    async def get(self, _: Resource, namespace: str | None, name: str) -> dict[str, object]:
        raise AssertionError(f"{namespace}/{name} was read")


class Operator:
    """A prober with everything that it has in the operator, and what it said when it woke us."""

    def __init__(self, asker: HttpAsker) -> None:
        self.prober = Prober(asker, self.wake, now=wall_clock, on_sample=lambda _, __: self.tell())
        self.woken: list[Key] = []
        self.evidence: list[tuple[Tally, ...]] = []
        self._changed = asyncio.Condition()
        self._told: set[asyncio.Task[None]] = set()

    def wake(self, key: Key) -> None:
        self.woken.append(key)
        self.evidence.append(self.prober.tallies(key))
        self.tell()

    def tell(self) -> None:
        task = asyncio.create_task(self._tell())
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at after each sample and each wake-up."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(condition)

    def tally(self, key: Key = ONE) -> Tally:
        (only,) = self.prober.tallies(key)
        return only

    def pursue(self, key: Key, *probes: Probe, session: str = "1-1/Verifying/0") -> None:
        self.prober.pursue(key, ProbePlan(session, probes))


@asynccontextmanager
async def operating() -> AsyncIterator[Operator]:
    """An operator's prober; when it is closed, no task of it is left."""
    before = asyncio.all_tasks()
    async with open_session("1") as session:
        asker = HttpAsker(
            session,
            Guard(HOSTILE - LOOPBACK),
            Credentials(NoSecrets()),
            Trust(NoSecrets()),
            wall_clock,
        )
        operator = Operator(asker)
        yield operator
        await operator.prober.close()
        left = [t for t in asyncio.all_tasks() - before if t.get_name().startswith("probe ")]
        assert left == []


def turning(*behaviours: Behaviour) -> Behaviour:
    """A pod that behaves one way after the other, and the last way for ever."""
    queue = list(behaviours)

    async def behaviour(connection: Connection) -> None:
        await (queue.pop(0) if len(queue) > 1 else queue[0])(connection)

    return behaviour


async def resets(connection: Connection) -> None:
    connection.reset()


async def test_a_failing_pod_wakes_its_workflow_once_with_the_whole_evidence() -> None:
    async with running(answers(500)) as pod, operating() as operator:
        of = check(method="POST", path="/run", period=FAST, failureThreshold=3)
        operator.pursue(ONE, probe(of, pod.port))
        await operator.until(lambda: bool(operator.woken))
        ((tally,),) = operator.evidence
        assert (tally.fails, tally.tries, tally.passes) == (3, 3, 0)
        assert tally.asked == f"POST :{pod.port}/run"
        assert tally.last is not None
        assert tally.last.got == "500 instead of 200"
        assert tally.first_at == tally.failing_since
        assert tally.first_at is not None
        assert tally.first_at < tally.last.at
        await operator.until(lambda: operator.tally().tries >= 6)
        assert operator.woken == [ONE]
        assert pod.connections == operator.tally().tries


async def test_a_flapping_pod_never_reaches_a_threshold_of_two() -> None:
    flapping = turning(*[answers(200), answers(500)] * 20)
    async with running(flapping) as pod, operating() as operator:
        of = check(period=FAST, failureThreshold=2, successThreshold=2)
        operator.pursue(ONE, probe(of, pod.port))
        await operator.until(lambda: operator.tally().tries >= 12)
        assert operator.woken == []
        assert operator.tally().passed_ever


async def test_every_way_to_fail_counts_for_a_pod_that_is_not_ready() -> None:
    async with operating() as operator:

        async def heals(connection: Connection) -> None:
            """Not in the same moment: that would be one piece of news."""
            await operator.until(lambda: bool(operator.woken))
            await answers(200)(connection)

        async with running(turning(answers(503), resets, hangs, heals)) as pod:
            of = check(period=FAST, timeout="2s", failureThreshold=3)
            operator.pursue(ONE, probe(of, pod.port, ready=False))
            await operator.until(lambda: len(operator.woken) >= 2)
        (failed,), (healed,) = operator.evidence[:2]
        assert (failed.fails, failed.passes) == (3, 0)
        assert (healed.fails, healed.passed_ever) == (0, True)


async def test_a_restart_between_two_requests_is_no_failure() -> None:
    async with operating() as operator:
        async with running(answers()) as pod:
            port = pod.port
            operator.pursue(ONE, probe(check(period="500ms"), port))
            await operator.until(lambda: operator.tally().tries == 1)
        async with running(answers(), port=port) as again:
            await operator.until(lambda: operator.tally().tries == 4)
            assert again.connections >= 3
        assert operator.tally().passes == 4


async def test_a_port_that_closes_fails_once_another_pod_vouches_for_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    async with running(answers()) as pod, operating() as operator:
        of = check(period=FAST, failureThreshold=3)
        operator.pursue(ONE, probe(of, nobody, pod="gone-1"))
        await operator.until(lambda: operator.tally().tries >= 4)
        assert operator.tally().fails == 0
        operator.pursue(OTHER, probe(of, pod.port))
        await operator.until(lambda: ONE in operator.woken)
        tally = operator.tally()
        assert tally.fails >= 3
        assert tally.last is not None
        assert (tally.last.answer, tally.last.got) == (Answer.NONE, "connection refused")


async def test_hanging_pods_of_twenty_workflows_leave_the_network_to_another() -> None:
    async with running(hangs) as deaf, running(answers()) as pod, operating() as operator:
        of = check(timeout="60s")
        for n in range(20):
            names = [f"pod-{n}-{m}" for m in range(20)]
            operator.pursue(
                Key("noisy", f"wf-{n}"), *(probe(of, deaf.port, pod=name) for name in names)
            )
        await deaf.until(lambda: len(deaf.requests) >= 200)
        operator.pursue(ONE, probe(check(period=FAST), pod.port))
        await operator.until(lambda: operator.tally().tries >= 5)
        assert operator.tally().passes == operator.tally().tries
        assert deaf.connections <= 256


async def test_two_thousand_probes_are_all_answered_and_leave_nothing_behind() -> None:
    async with running(answers()) as pod, operating() as operator:
        of = check(period="2s")
        keys = [Key("many", f"wf-{n}") for n in range(1000)]
        for key in keys:
            names = [f"{key.name}-{m}" for m in range(2)]
            operator.pursue(key, *(probe(of, pod.port, pod=name) for name in names))

        def all_passed_twice() -> bool:
            return all(t.passes >= 2 for key in keys for t in operator.prober.tallies(key))

        await pod.until(lambda: pod.connections >= 4000)
        await operator.until(all_passed_twice)
        assert all(t.fails == 0 for key in keys for t in operator.prober.tallies(key))
        assert set(operator.woken) == set(keys)
        assert len(operator.woken) <= 2000


async def test_a_baseline_asks_each_live_pod_once() -> None:
    async with running(answers()) as good, running(answers(500)) as bad, operating() as operator:
        of = check()
        asked = ProbePlan(
            "baseline",
            (
                probe(of, good.port, pod="a"),
                probe(of, bad.port, pod="b"),
                probe(of, None, pod="c"),
            ),
        )
        found = await operator.prober.ask_once(asked)
        assert [(p.pod, sample.got) for p, sample in found] == [
            ("a", "200"),
            ("b", "500 instead of 200"),
            ("c", "port 8080 is not declared by the container"),
        ]
        assert (good.connections, bad.connections) == (1, 1)


@pytest.fixture
async def tenants_view(
    cluster: RealCluster, namespace: str, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The API as a ServiceAccount sees it that was granted nothing."""
    cluster.kubectl("create", "serviceaccount", "belay", "-n", namespace)
    kubeconfig = kube.service_account_kubeconfig(
        cluster, namespace, "belay", tmp_path / "kubeconfig"
    )
    async with await Cluster.connect(str(kubeconfig)) as connected:
        yield connected


def with_secret(name: str) -> HttpCheck:
    ref = {"secretKeyRef": {"name": name, "key": "token"}}
    header = {"name": "Authorization", "valueFrom": ref}
    return HttpCheck.model_validate({"port": 8080, "headers": [header]})


async def said(view: Cluster, namespace: str, secret: str) -> str:
    """What is wrong with a Secret."""
    found = await Credentials(view).resolve(namespace, with_secret(secret))
    assert isinstance(found, Problem)
    return found.text


async def until_granted(view: Cluster, namespace: str, secret: str) -> None:
    """Wait until the API server knows of a new Role."""
    async with asyncio.timeout(30):
        while True:
            try:
                await view.get(SECRETS, namespace, secret)
            except Forbidden:
                await asyncio.sleep(0.02)
            else:
                return


async def test_the_printed_command_grants_the_one_secret_that_it_names(
    cluster: RealCluster, namespace: str, tenants_view: Cluster
) -> None:
    for name in ("crm", "erp"):
        cluster.kubectl(
            *("create", "secret", "generic", name, "-n", namespace),
            *("--type=belay.dev/check-credentials", f"--from-literal=token=Bearer {name}"),
        )
    text = await said(tenants_view, namespace, "crm")
    command = text.partition("grant it: kubectl ")[2].partition(",")[0]
    cluster.kubectl(*command.split())
    bind(cluster, namespace, "belay-check-credentials")
    await until_granted(tenants_view, namespace, "crm")
    headers = await Credentials(tenants_view).resolve(namespace, with_secret("crm"))
    assert headers == {"Authorization": "Bearer crm"}
    assert 'may not read Secret "erp"' in await said(tenants_view, namespace, "erp")


async def test_a_secret_of_another_type_is_not_used_even_where_it_may_be_read(
    cluster: RealCluster, namespace: str, tenants_view: Cluster
) -> None:
    cluster.kubectl(
        *("create", "secret", "generic", "plain", "-n", namespace, "--from-literal=token=t"),
    )
    cluster.kubectl("create", "role", "all", "-n", namespace, "--verb=get", "--resource=secrets")
    bind(cluster, namespace, "all")
    await until_granted(tenants_view, namespace, "plain")
    assert 'Secret "plain" is of type Opaque' in await said(tenants_view, namespace, "plain")
    assert 'there is no Secret "gone"' in await said(tenants_view, namespace, "gone")


def bind(cluster: RealCluster, namespace: str, role: str) -> None:
    cluster.kubectl(
        *("create", "rolebinding", role, "-n", namespace),
        *(f"--role={role}", f"--serviceaccount={namespace}:belay"),
    )
