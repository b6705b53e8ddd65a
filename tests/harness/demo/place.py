"""The cluster of the demo: one of its own, one that stays, or one that is there already."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import cluster as clusters
from tests.harness import images
from tests.harness.cluster import Cluster, Kind
from tests.harness.demo.story import SAMPLE
from tests.harness.images import Image


@contextmanager
def cluster(kind: Kind, *, keep: bool) -> Iterator[Cluster]:
    """A cluster that knows the images; a local one ends with the block, unless it is kept."""
    if kind is Kind.LOCAL and keep:
        clusters.require_local()
        local = clusters.local_cluster(owned=False)
        local.start([each.archive for each in (images.pause(), images.belay(), sample())])
        yield clusters._described(local)
    else:
        with clusters.running(kind, [images.belay, sample]) as found:
            yield found


def sample() -> Image:
    """The sample application's image, as its manifests name it."""
    return images.build("localhost/triage:dev", SAMPLE / "Dockerfile", SAMPLE, images.base())
