"""How new a list has to be."""

from typing import Any

from belay.shell.cluster import Cluster
from belay.shell.recent import MOMENT, Recent
from belay.shell.resources import CONFIG_MAPS, PODS
from belay.shell.transport import Request


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_list_is_as_new_as_the_newest_that_was_heard() -> None:
    recent = Recent()
    assert recent.version(PODS, "shop") is None
    recent.note(PODS, "shop", "9")
    recent.note(PODS, "shop", "10")
    recent.note(PODS, "shop", "7")
    assert recent.version(PODS, "shop") == "10"


def test_neither_other_kinds_nor_other_namespaces_count() -> None:
    recent = Recent()
    recent.note(PODS, "shop", "9")
    assert recent.version(CONFIG_MAPS, "shop") is None
    assert recent.version(PODS, "bar") is None
    assert recent.version(PODS, None) is None


def test_what_was_heard_a_while_ago_is_forgotten() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.note(PODS, "shop", "9")
    clock.now += MOMENT / 2
    recent.note(CONFIG_MAPS, "shop", "11")
    clock.now += MOMENT / 2
    assert recent.version(PODS, "shop") is None
    assert recent.version(CONFIG_MAPS, "shop") == "11"
    recent.note(CONFIG_MAPS, "shop", "11")
    clock.now += MOMENT - 1
    assert recent.version(CONFIG_MAPS, "shop") == "11"


def test_what_is_no_number_is_not_compared() -> None:
    recent = Recent()
    for version in ("", "a9", "-1"):
        recent.note(PODS, "shop", version)
    assert recent.version(PODS, "shop") is None


class Pages:
    """A server whose lists come in two pages; it keeps how each was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def send(self, request: Request, _: object = None) -> dict[str, Any]:
        query = {k: v for k, v in (request.query or {}).items() if v is not None}
        self.asked.append(query)
        more = "" if "continue" in query else "more"
        return {"metadata": {"resourceVersion": "9", "continue": more}, "items": [{}]}


async def test_a_list_says_how_new_it_has_to_be_where_it_may_be_recent() -> None:
    pages = Pages()
    cluster = Cluster(pages, "shop")  # type: ignore[arg-type]
    for recent in (True, True, False):
        assert len(await cluster.list(PODS, "shop", labels="a=b", recent=recent)) == 2

    newest = {"limit": 500, "labelSelector": "a=b"}
    first = {**newest, "resourceVersion": "9", "resourceVersionMatch": "NotOlderThan"}
    rest = {**newest, "continue": "more"}
    assert pages.asked == [newest, rest, first, rest, newest, rest]
