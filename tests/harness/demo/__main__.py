"""`make demo`. KEEP=1 leaves everything running; CLUSTER=existing uses a running cluster."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.cluster import Cluster, Kind
from tests.harness.demo import figures, place, setting, story
from tests.harness.demo.install import Installation
from tests.harness.demo.screen import Screen
from tests.harness.demo.stage import Stage, StoryError
from tests.harness.demo.traffic import Client
from tests.harness.setup import SetupError, say, state_home

_NAMESPACE = "demo"
_CLUSTERS = (Kind.LOCAL, Kind.EXISTING)
_SHARED_HOME = "belay-demo"
"""The operator's namespace on a cluster that is not the demo's own."""


def main() -> int:
    """Play the demo; an error is one message with the place of the logs."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        with (
            place.cluster(options.cluster, keep=options.keep) as cluster,
            _set_up(cluster, keep=options.keep) as (stage, folder),
        ):
            told = story.tell(stage, folder)
            stage.screen.title("What a person sees now")
            stage.typed(f"kubectl -n {_NAMESPACE} get workflows.belay.dev -o wide")
            figures.show(stage, told, time.monotonic() - began)
            if options.keep:
                _how_to_go_on(stage, folder)
    except (SetupError, StoryError, TimeoutError) as error:
        say(f"demo: {error}\ndemo: what the programs said is in {state_home()}")
        return 1
    except KeyboardInterrupt:
        say("demo: interrupted")
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--cluster",
        choices=_CLUSTERS,
        default=os.environ.get("CLUSTER") or Kind.LOCAL,
        help="local: one of its own (default); existing: the current kubeconfig context",
    )
    keep = os.environ.get("KEEP", "") not in {"", "0"}
    parser.add_argument("--keep", action="store_true", default=keep, help="the same as KEEP=1")
    options = parser.parse_args()
    if options.cluster not in _CLUSTERS:  # of the environment, which argparse does not check
        parser.error(f"the demo needs pods: CLUSTER is {' or '.join(_CLUSTERS)}")
    options.cluster = Kind(options.cluster)
    return options


@contextmanager
def _set_up(cluster: Cluster, *, keep: bool) -> Iterator[tuple[Stage, Path]]:
    """Belay, the sample and a user of it; all of it is removed afterwards, unless kept."""
    shared = cluster.kind is Kind.EXISTING
    if shared:
        _require_room(cluster)
        operator = Installation(cluster, _SHARED_HOME, serves=_NAMESPACE)
    else:
        operator = Installation(cluster)
    folder = Path(tempfile.mkdtemp(prefix="belay-demo-"))
    stage: Stage | None = None
    try:
        stage = _stage(cluster, operator)
        yield stage, folder
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # tidying is not to be broken off
        if stage is not None:
            stage.client.stop()
            stage.runs.stop()
        _keep_log(operator)
        if not keep:
            shutil.rmtree(folder)
        if shared and not keep:
            say("  removing what the demo brought ...")
            operator.remove()
            names = [_NAMESPACE, _SHARED_HOME]
            cluster.kubectl("delete", "namespace", *names, "--ignore-not-found")


def _stage(cluster: Cluster, operator: Installation) -> Stage:
    """Install Belay and the sample, and publish the revisions while their pods start."""
    screen = Screen()
    nodes = [each["status"]["nodeInfo"]["kubeletVersion"] for each in cluster.get("nodes")["items"]]
    screen.say(f"cluster       Kubernetes {nodes[0]}, {len(nodes)} node{'s' * (len(nodes) != 1)}")
    began = time.monotonic()
    operator.apply()
    runs = setting.put_up(cluster, operator, _NAMESPACE)
    stage = Stage(screen, cluster, operator, _NAMESPACE, Client(runs.host, runs), runs)
    story.publish(stage)
    screen.say()
    with screen.moving(lambda: f"pods are starting, {time.monotonic() - began:.0f} s"):
        operator.wait()
        what = ("rollout", "status", "deployment/classifier", "--timeout=60s")
        cluster.kubectl("-n", _NAMESPACE, *what)
    screen.say(
        f"belay         runs as a pod in {operator.home}, as its own ServiceAccount; "
        f"the sample runs in {_NAMESPACE} ({time.monotonic() - began:.1f} s)"
    )
    return stage


def _require_room(cluster: Cluster) -> None:
    """Nothing of anybody's is touched on a cluster that others use, too."""
    names = {each["metadata"]["name"] for each in cluster.get("namespaces")["items"]}
    taken = sorted(names & {_NAMESPACE, _SHARED_HOME})
    if taken:
        raise SetupError(
            f"namespace {' and '.join(taken)} exists already. If an earlier demo left it: "
            f"kubectl delete namespace {' '.join(taken)}"
        )


def _keep_log(operator: Installation) -> None:
    with suppress(SetupError):  # there may be no pod to ask
        text = operator.log()
        state_home().mkdir(parents=True, exist_ok=True)
        (state_home() / "demo-operator.log").write_text(text)


def _how_to_go_on(stage: Stage, folder: Path) -> None:
    cluster = stage.cluster
    stage.screen.title("By hand from here")
    patch = """--type merge -p '{"spec":{"activeRevision":"v1"}}'"""
    lines = [
        f"export KUBECONFIG={cluster.kubeconfig} PATH={Path(cluster.kubectl_path).parent}:$PATH",
        f"kubectl -n {_NAMESPACE} get workflows.belay.dev -w",
        f"kubectl -n {_NAMESPACE} describe workflows.belay.dev triage",
        f"kubectl -n {_NAMESPACE} patch workflows.belay.dev triage {patch}",
        f"the manifests: {folder}",
    ]
    if cluster.kind is Kind.EXISTING:
        lines.append(f"to end it: kubectl delete namespace {_NAMESPACE} {stage.operator.home}")
    else:
        lines.append("to end it: make cluster-down")
    for line in lines:
        stage.screen.say(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
