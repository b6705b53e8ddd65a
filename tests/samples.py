"""Definitions that tests share: the triage of deploy/samples, and real exports where there are any.

The real ones are found by BELAY_DIFY_DSL, or in a folder `shared/data/dify-dsl` beside the checkout
or above it.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRIAGE = ROOT / "deploy" / "samples" / "triage"


def _real_exports() -> list[Path]:
    told = os.environ.get("BELAY_DIFY_DSL")
    folders = [Path(told)] if told else [p / "shared/data/dify-dsl" for p in ROOT.parents]
    return next((found for f in folders if (found := sorted(f.glob("*.yml")))), [])


REAL_EXPORTS = _real_exports()
_NONE = pytest.param(
    None, marks=pytest.mark.skip(reason="no real Dify exports: set BELAY_DIFY_DSL to their folder")
)
EVERY_REAL_EXPORT = pytest.mark.parametrize(
    "export", REAL_EXPORTS or [_NONE], ids=lambda path: path.name if path else "none"
)


def real_export(name: str) -> Path:
    """One of the real exports; skips the test where they are absent."""
    for path in REAL_EXPORTS:
        if path.name == name:
            return path
    pytest.skip(f"no {name}: set BELAY_DIFY_DSL to the folder of real Dify exports")
