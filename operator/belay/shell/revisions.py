"""WorkflowRevisions: read one at a time, verified, and a few of them remembered."""

import asyncio
from collections import OrderedDict
from typing import Final

from pydantic import ValidationError

from belay.api.revision import WorkflowRevisionSpec
from belay.core.observed import DamagedRevision, RevisionView
from belay.core.revisions.revision import Damaged, verify
from belay.shell.resources import REVISIONS
from belay.shell.turn import Turn

MOST_REMEMBERED: Final = 32


class RevisionCache:
    """Verified revisions by UID: a spec is immutable, so a UID never needs verifying twice."""

    def __init__(self) -> None:
        self._verified: OrderedDict[str, RevisionView | DamagedRevision] = OrderedDict()

    async def read(self, turn: Turn, name: str) -> RevisionView | DamagedRevision | None:
        """The revision of this name, or None where there is none."""
        raw = await turn.get(REVISIONS, name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return None
        uid = str(raw["metadata"]["uid"])
        found = self._verified.get(uid)
        if found is None:
            found = await asyncio.to_thread(_verified, name, uid, raw["spec"])
            self._verified[uid] = found
            if len(self._verified) > MOST_REMEMBERED:
                self._verified.popitem(last=False)
        self._verified.move_to_end(uid)
        return found


def _verified(name: str, uid: str, raw: object) -> RevisionView | DamagedRevision:
    try:
        spec = WorkflowRevisionSpec.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return DamagedRevision(name, f"spec.{place}: {first['msg']}")
    own = f"{spec.workflow_name}-{spec.revision}"
    if own != name:
        return DamagedRevision(name, f"its spec is that of {own}: each name has its own object")
    match verify(spec):
        case Damaged(reason):
            return DamagedRevision(name, reason)
        case verified:
            return RevisionView(uid, spec, verified.content.decode())
