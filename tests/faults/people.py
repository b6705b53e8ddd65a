"""What people and other controllers do to one Workflow and what it has, at any time."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from tests.faults.outages import delete_target, make_target_anew
from tests.faults.scenarios import FLOW, Place, deployment

from belay.api.names import (
    ANNOTATION_ABORT,
    ANNOTATION_RETRY,
    LABEL_PAUSED_BY,
    LABEL_WORKFLOW,
)
from belay.shell.errors import NotFound
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, JOBS, WORKFLOWS


async def act(place: Place, what: str) -> None:
    """One of the model's disturbances; what it would disturb may be gone already."""
    with suppress(NotFound):
        await _ACTS[what](place)


def _spec(**fields: Any) -> Callable[[Place], Awaitable[object]]:
    return lambda place: place.patch(WORKFLOWS, FLOW, {"spec": fields})


def _annotation(name: str) -> Callable[[Place], Awaitable[object]]:
    body = {"metadata": {"annotations": {name: "now"}}}
    return lambda place: place.patch(WORKFLOWS, FLOW, body)


async def _another_image(place: Place) -> None:
    shape = (await place.api.get(DEPLOYMENTS, place.namespace, "app"))["spec"]["template"]
    shape["spec"]["containers"][0]["image"] = "app:2"
    await place.patch(DEPLOYMENTS, "app", {"spec": {"template": shape}})


async def _taken_out(place: Place) -> None:
    template = deployment()["spec"]["template"]
    template["metadata"]["annotations"] = None
    template["spec"]["volumes"] = None
    await place.patch(DEPLOYMENTS, "app", {"spec": {"template": template}})


async def _delete_contents(place: Place) -> None:
    for one in await place.api.list(
        CONFIG_MAPS, place.namespace, labels=f"{LABEL_WORKFLOW}={FLOW}"
    ):
        await place.api.delete(CONFIG_MAPS, place.namespace, one["metadata"]["name"])


async def _resume(place: Place) -> None:
    for job in await place.api.list(JOBS, place.namespace, labels=LABEL_PAUSED_BY):
        await place.patch(JOBS, job["metadata"]["name"], {"spec": {"suspend": False}})


_ACTS: Final[dict[str, Callable[[Place], Awaitable[object]]]] = {
    "wish v1": _spec(activeRevision="v1"),
    "wish v3": _spec(activeRevision="v3"),
    "wish same content": _spec(activeRevision="v1.again"),
    "suspend": _spec(suspend=True),
    "lift": _spec(suspend=False),
    "retry": _annotation(ANNOTATION_RETRY),
    "abort": _annotation(ANNOTATION_ABORT),
    "foreign image": _another_image,
    "taken out": _taken_out,
    "target replaced": make_target_anew,
    "target deleted": delete_target,
    "preview deleted": Place.collect_garbage,
    "content deleted": _delete_contents,
    "resumed by others": _resume,
    "status lost": lambda place: place.patch(WORKFLOWS, FLOW, {"status": None}, "status"),
}
