"""Options, markers and the one shared cluster of a test run."""

import itertools
import os
import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.harness import argo_rollouts, argocd, go_tools, images, instance_crds, kube
from tests.harness import cluster as clusters
from tests.harness.cluster import Cluster, Kind
from tests.harness.setup import SetupError, locked, say

from belay.shell.resources import Resource

EXAMPLES, FULL_EXAMPLES = 40, 200
"""Of each property, where the property does not say how many."""
_SEED = pytest.StashKey[int]()
Once = Callable[[str, Callable[[Path], object]], Path]
InstallKinds = Callable[..., None]
"""Called with kinds of running instances."""
_SHARED = pytest.StashKey["SharedCluster"]()
LONGEST = 7200
"""Seconds of one whole matrix in a full run, where its test says nothing else."""
_BUILT: dict[str, Callable[[], object]] = {
    "argo_controller": argo_rollouts.controller,
    "argo_cd": argocd.Programs,
    "helm": lambda: go_tools.program(go_tools.HELM),
    "operator_image": images.belay,
    "runner_image": images.runner,
}
"""Fixtures that give what takes minutes to build, once."""


class SharedCluster:
    """One cluster for all processes of a run, started only when a collected test needs one.

    Workers of pytest-xdist say that they need it by a file, and read it from another; the process
    that the person started owns it.
    """

    def __init__(self, config: pytest.Config, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self._config = config

    def want(self) -> None:
        """Say that a collected test needs the cluster."""
        (self.folder / "wanted").touch()

    def want_built(self, fixture: str) -> None:
        """Say that a collected test needs what this fixture gives."""
        (self.folder / f"wanted-{fixture}").touch()

    def why_not(self, fixture: str) -> str:
        """Why it cannot be had on this machine; empty where it can."""
        told = self.folder / f"no-{fixture}"
        return told.read_text() if told.exists() else ""

    def wanted(self) -> bool:
        """Whether any process of the run needs the cluster."""
        return (self.folder / "wanted").exists()

    def get(self) -> Cluster:
        """The running cluster; the owner starts it at the first call."""
        told = self.folder / "cluster.json"
        if not told.exists():
            told.write_text(self._start().to_json())
        return Cluster.from_json(told.read_text())

    def once(self, what: str, make: Callable[[Path], object]) -> Path:
        """The folder that `make` fills, or something that it does; in one process of the run."""
        made, done = self.folder / what, self.folder / f"{what}.done"
        with locked(self.folder / f"{what}.lock", what):
            if not done.exists():
                made.mkdir(exist_ok=True)
                make(made)
                done.touch()
        return made

    def _start(self) -> Cluster:
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            for fixture, build in _BUILT.items():
                if (self.folder / f"wanted-{fixture}").exists():
                    self._build(fixture, build)
            try:
                cluster, stop = clusters.start(self.kind, [images.base])
            except SetupError as error:
                pytest.exit(f"no cluster: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        self._config.add_cleanup(stop)
        return cluster

    def _build(self, fixture: str, build: Callable[[], object]) -> None:
        """Before the first test: it may take minutes, and a worker could not tell of it."""
        try:
            build()
        except SetupError as error:
            say(f"  no {fixture}: {error}")
            (self.folder / f"no-{fixture}").write_text(str(error).splitlines()[0])


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of design.md: which cluster, the whole matrix, a repeatable choice."""
    group = parser.getgroup("belay")
    group.addoption(
        "--cluster",
        choices=[kind.value for kind in Kind],
        default=os.environ.get("CLUSTER") or None,
        help="what to test against; default: CLUSTER, else local where possible",
    )
    group.addoption("--full", action="store_true", help="run the whole of sampled matrices")
    group.addoption("--update-stories", action="store_true", help="write the golden stories anew")
    group.addoption("--seed", type=int, help="the seed of a former run, to repeat its samples")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed and the run's folder: the owner's, in workers too."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    seed = config.getoption("seed")
    config.stash[_SEED] = told.get("belay_seed", random.randrange(10**6) if seed is None else seed)
    _settle_properties(config)
    if "belay_run" in told:
        folder = Path(told["belay_run"])
    else:
        folder = Path(tempfile.mkdtemp(prefix="belay-tests-"))
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    kind = Kind(config.getoption("cluster") or clusters.default_kind())
    config.stash[_SHARED] = SharedCluster(config, kind, folder)


def _settle_properties(config: pytest.Config) -> None:
    """Hypothesis chooses its examples by the run's seed, and more of them in a full run.

    Properties are about answers, not about time: a loaded machine must not fail them.
    """
    if config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = str(config.stash[_SEED])
    name = "belay-full" if config.getoption("full") else "belay"
    examples = FULL_EXAMPLES if config.getoption("full") else EXAMPLES
    quiet = [HealthCheck.too_slow]
    settings.register_profile(
        name, max_examples=examples, deadline=None, suppress_health_check=quiet
    )
    settings.load_profile(name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand a worker of pytest-xdist what it shares with the others."""
    node.workerinput["belay_seed"] = node.config.stash[_SEED]
    node.workerinput["belay_run"] = str(node.config.stash[_SHARED].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Start the cluster before the first test when a worker has said that it needs one."""
    shared: SharedCluster = node.config.stash[_SHARED]
    if shared.wanted():
        shared.get()


def pytest_report_header(config: pytest.Config) -> str:
    """Name what a second run needs to repeat this one."""
    kind, seed = config.stash[_SHARED].kind, config.stash[_SEED]
    return f"belay: cluster {kind} (started when needed), samples by --seed {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this run leaves out, with the reason."""
    shared = config.stash[_SHARED]
    no_pods = pytest.mark.skip(reason="needs real pods; a control plane alone has no kubelet")
    not_full = pytest.mark.skip(reason="a part of the whole matrix: make test-full")
    for item in items:
        if config.getoption("full") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST))
        if item.get_closest_marker("full") and not config.getoption("full"):
            item.add_marker(not_full)
        elif item.get_closest_marker("pods") and shared.kind is Kind.CONTROL_PLANE:
            item.add_marker(no_pods)
        elif "cluster" in getattr(item, "fixturenames", ()):
            shared.want()
            for fixture in _BUILT.keys() & item.fixturenames:
                shared.want_built(fixture)
    told: dict[str, Any] = getattr(config, "workerinput", {})
    items[:] = _spread(items, told.get("workercount", 1))


def _spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Slow files first, in each worker: xdist gives each of them as many neighbours in a row."""
    if workers == 1:
        return items
    slow: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    quick = [item for item in items if "e2e" not in item.path.parts]
    for item in items:
        if "e2e" in item.path.parts:
            slow[item.path.name].append(item)
    lanes: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for file in sorted(slow):
        min(lanes, key=len).extend(slow[file])
    for lane in lanes:
        room = max(len(items) // workers - len(lane), 0)
        lane.extend(quick[:room])
        del quick[:room]
    return [*itertools.chain.from_iterable(lanes), *quick]


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed for choosing samples, the same in every process of a run."""
    return request.config.stash[_SEED]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster that all tests of this run share."""
    return request.config.stash[_SHARED].get()


@pytest.fixture(scope="session")
def once(request: pytest.FixtureRequest) -> Once:
    """Do something in the first process of the run that asks, and give its folder to all."""
    return request.config.stash[_SHARED].once


@pytest.fixture(scope="session")
def crds(cluster: Cluster, once: Once) -> None:
    """The CRDs, as they are in the repository."""
    once("crds", lambda _: cluster.apply_crds())


@pytest.fixture(scope="session")
def argo_crds(cluster: Cluster, once: Once) -> None:
    """The real CRDs of Argo Rollouts on the cluster."""
    if cluster.kind is Kind.EXISTING:
        pytest.skip("would put the CRDs of Argo Rollouts onto a cluster that is somebody's own")
    try:
        argo_rollouts.crds()
    except SetupError as error:
        pytest.skip(f"needs the CRDs of Argo Rollouts: {error}")
    once("argo-crds", lambda _: argo_rollouts.install_crds(cluster))


@pytest.fixture(scope="session")
def install_kinds(cluster: Cluster, once: Once) -> InstallKinds:
    """Install the CRDs of these kinds, where they are to be had."""

    def installed(*kinds: Resource) -> None:
        if cluster.kind is Kind.EXISTING:
            pytest.skip("would put CRDs of others onto a cluster that is somebody's own")
        for kind in kinds:
            try:
                instance_crds.crd(kind)
            except SetupError as error:
                pytest.skip(f"needs the CRD of {kind.plural}.{kind.group}: {error}")
            name = f"{kind.plural}.{kind.group}"
            once(name, lambda _, kind=kind: instance_crds.install(cluster, kind))

    return installed


@pytest.fixture(scope="session")
def argo_controller(request: pytest.FixtureRequest, argo_crds: None) -> Path:
    """The real controller of Argo Rollouts, to be started."""
    why = request.config.stash[_SHARED].why_not("argo_controller")
    if why:
        pytest.skip(f"needs the controller of Argo Rollouts, which cannot be built here: {why}")
    return argo_rollouts.controller()


@pytest.fixture(scope="session")
def argo_cd(cluster: Cluster, request: pytest.FixtureRequest) -> argocd.Programs:
    """The real Argo CD and a Redis, to be started."""
    if cluster.kind is Kind.EXISTING:
        pytest.skip("would put Argo CD's CRDs onto a cluster that is somebody's own")
    why = request.config.stash[_SHARED].why_not("argo_cd")
    if why:
        pytest.skip(f"needs Argo CD, which cannot be had here: {why}")
    return argocd.Programs()


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest) -> Path:
    """The real Helm."""
    why = request.config.stash[_SHARED].why_not("helm")
    if why:
        pytest.skip(f"needs Helm, which cannot be built here: {why}")
    return go_tools.program(go_tools.HELM)


@pytest.fixture(autouse=True)
def _pods(request: pytest.FixtureRequest) -> None:
    """A cluster that exists already may turn out to have no nodes."""
    marked = request.node.get_closest_marker("pods")
    if marked and not request.getfixturevalue("cluster").has_pods:
        pytest.skip("needs real pods; this cluster has no nodes")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, under PodSecurity `restricted`."""
    with kube.namespace(cluster) as name:
        yield name


class _Parts:
    """How long the tests of each top folder took, over all processes."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.began = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = report.nodeid.removeprefix("tests/").partition("/")[0]
        self.seconds[part] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        shown = [f"{part} {spent / 60:.1f}" for part, spent in sorted(self.seconds.items())]
        total = (time.monotonic() - self.began) / 60
        if shown:
            terminalreporter.write_sep("-", "minutes of testing, by part")
            terminalreporter.write_line(f"{', '.join(shown)}; {total:.1f} by the clock")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Count the minutes where the reports of all processes come together."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Parts())
