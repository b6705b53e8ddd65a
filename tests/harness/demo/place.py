"""The cluster of the demo: one of its own, one that stays, or one that is there already."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import cluster as clusters
from tests.harness import images
from tests.harness.cluster import Cluster, Kind
from tests.harness.demo.setting import TRIAGE
from tests.harness.images import Image
from tests.harness.setup import SetupError


@contextmanager
def cluster(kind: Kind, *, keep: bool) -> Iterator[Cluster]:
    """A cluster that knows the images; a local one ends with the block, unless it is kept."""
    load = [images.belay, stub, runner]
    if kind is Kind.LOCAL and keep:
        clusters.require_local()
        local = clusters.local_cluster(owned=False)
        local.start([each().archive for each in (images.pause, *load)])
        yield clusters._described(local)
    else:
        with clusters.running(kind, load) as found:
            yield found


def stub() -> Image:
    """The image of the classifier, as the sample's manifests name it."""
    return images.build("localhost/triage:dev", TRIAGE / "Dockerfile", TRIAGE, images.base())


def runner() -> Image:
    """The image of what the demo runs on."""
    try:
        return images.runner()
    except SetupError as error:
        raise SetupError(
            f"the demo runs on the reference runner, and its image cannot be built: {error}\n"
            "It takes Debian 13 (by debootstrap, for its Python 3.13) and the packages of "
            "deploy/runner/requirements.lock, once. Where a download was refused: set https_proxy, "
            "or PIP_INDEX_URL to an index that you may use, and start again; what is built already "
            "is kept. Or make the image elsewhere (make image there), and copy ~/.cache/belay"
        ) from error
