"""Clusters by hand.

python -m tests.harness up      start one that lives on
python -m tests.harness hold    start one that lives until this command ends
python -m tests.harness down    end the one of `up`, or what a killed one left
python -m tests.harness status  who runs one
python -m tests.harness image   build our images, for it and for others
"""

import signal
import sys
from collections.abc import Sequence

from tests.harness import images
from tests.harness.cluster import Kind, local_cluster, require_local, running
from tests.harness.demo import place
from tests.harness.setup import SetupError, say


def _up() -> None:
    require_local()
    local = local_cluster(owned=False)
    if not local.lives_on():
        local.start([images.pause().archive, images.base().archive])
    print(f"export KUBECONFIG={local.kubeconfig}")


def _hold() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running(Kind.LOCAL, [images.base]) as cluster:
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        signal.pause()


def _status() -> None:
    local = local_cluster()
    print(local.holder() or "no local cluster")


def _image() -> None:
    local = local_cluster()
    for image in (images.belay(), images.runner(), place.stub()):
        megabytes = image.archive.stat().st_size / 1e6
        print(f"{image.name} in {image.archive} ({megabytes:.0f} MB)")
        if local.lives_on():
            local.containerd.load(image.archive)
            print("  loaded into the local cluster")


def main(arguments: Sequence[str]) -> int:
    """Do what the one argument says; errors are one message."""
    down = local_cluster().stop_detached
    verbs = {"up": _up, "hold": _hold, "down": down, "status": _status, "image": _image}
    if len(arguments) != 1 or arguments[0] not in verbs:
        say(f"usage: python -m tests.harness {' | '.join(verbs)}")
        return 2
    try:
        verbs[arguments[0]]()
    except SetupError as error:
        say(f"{arguments[0]}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
