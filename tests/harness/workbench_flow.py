"""One Workflow on a workbench, as its user handles and reads it."""

import asyncio
from dataclasses import dataclass, field

from tests.harness.workbench import SECONDS, Bench, Good, Mark, Object

from belay.api.words import Outcome
from belay.shell.resources import WORKFLOWS

_ENDS = frozenset(Outcome) - {Outcome.REFUSED}


@dataclass(slots=True)
class Flow:
    """One Workflow: a manifest that its user edits and applies."""

    bench: Bench
    manifest: Object
    generation: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    """Tokens that were set, by the field of the status that will name them."""

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def spec(self) -> Object:
        found: Object = self.manifest["spec"]
        return found

    async def apply(self) -> None:
        """Apply the manifest as it is."""
        found = await self.bench.apply(WORKFLOWS, self.manifest)
        self.generation = found["metadata"]["generation"]

    async def wish(self, revision: str) -> None:
        """Wish for another revision."""
        self.spec["activeRevision"] = revision
        await self.apply()

    async def annotate(self, what: str, token: str) -> None:
        """Set a token: `retry`, `abort` or `restore`."""
        annotations = {f"belay.dev/{what}": token}
        body = {"metadata": {"name": self.name, "annotations": annotations}}
        await self.bench.apply(WORKFLOWS, body, f"kubectl-{what}")
        self.tokens[f"lastHandled{what.capitalize()}"] = token

    async def now(self) -> Object:
        return await self.bench.get(WORKFLOWS, self.name)

    async def looked_at(self) -> None:
        """Make the operator look twice, so that the first look is over; from the audit log."""
        for _ in range(2):
            mark = self.bench.mark()
            annotations = {"example.com/nudge": mark.at.isoformat()}
            body = {"metadata": {"name": self.name, "annotations": annotations}}
            await self.bench.apply(WORKFLOWS, body, "nudge")
            await self.looks(mark)

    async def looks(self, since: Mark, times: int = 1) -> None:
        """Wait until the operator has begun so many looks after a mark in the audit log."""
        look = ("get", "workflows", self.name)
        async with asyncio.timeout(SECONDS):
            while True:
                calls = [(c.verb, c.resource, c.name) for c in self.bench.calls(since)]
                if calls.count(look) >= times:
                    return
                await asyncio.sleep(0.1)

    async def until(self, good: Good, seconds: float = SECONDS) -> Object:
        return await self.bench.until(WORKFLOWS, self.name, good, seconds)

    def answered(self, found: Object) -> bool:
        """Whether the status speaks of the newest wish and the newest tokens."""
        status = found.get("status") or {}
        newest = status.get("observedGeneration", 0) >= self.generation
        return newest and self.tokens.items() <= status.items()

    async def at(self, *phases: str, seconds: float = SECONDS) -> Object:
        """Wait for one of these phases or outcomes; an end of another kind fails at once."""

        def good(found: Object) -> bool:
            if not self.answered(found):
                return False
            phase = found["status"]["phase"]
            assert phase in phases or phase not in _ENDS, (
                f"{phase} instead of {phases}: {ready(found)}\n{found['status'].get('rollout')}"
            )
            return phase in phases

        return await self.until(good, seconds)

    async def says(self, reason: str, seconds: float = SECONDS) -> str:
        """Wait until Ready has this reason for the newest wish, and give its message."""
        found = await self.until(
            lambda f: self.answered(f) and ready(f)["reason"] == reason, seconds
        )
        return str(ready(found)["message"])


def condition(found: Object, kind: str) -> Object:
    """A condition of this type, or an empty one."""
    conditions = (found.get("status") or {}).get("conditions") or []
    nothing = {"status": "", "reason": "", "message": ""}
    return next((dict(c) for c in conditions if c["type"] == kind), nothing)


def ready(found: Object) -> Object:
    return condition(found, "Ready")
