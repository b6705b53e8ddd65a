"""Asks a probe by the type of its check: one module per type."""

from collections.abc import Mapping
from dataclasses import dataclass

from belay.core.evidence.probe import Probe, Sample
from belay.shell.checks.prober import Asker


@dataclass(frozen=True, slots=True)
class AskerByType:
    """Hands each probe to the asker of its check's type."""

    askers: Mapping[str, Asker]

    async def __call__(self, probe: Probe) -> Sample:
        return await self.askers[probe.check.type](probe)
