"""The kstatus that Flux waits by: its own library, in a program of a few lines.

Nothing of it is kept here but its version, in `kstatus/go.mod`.
"""

import json
import shutil
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.harness.setup import SetupError, cache_home, run, step
from tests.harness.store import Store, content_key

_MODULE = Path(__file__).parent / "kstatus"
_PROGRAM = "kstatus"


def compute(objects: Sequence[dict[str, Any]]) -> list[str]:
    """What it says of each."""
    found: list[str] = json.loads(run([program()], stdin=json.dumps(objects)))
    return found


@cache
def program() -> Path:
    """The program; built first if need be. Raises `SetupError` where it cannot be had."""
    go = shutil.which("go")
    if go is None:
        raise SetupError("no Go toolchain to build kstatus with")
    toolchain = run([go, "env", "GOVERSION", "GOARCH"], cwd=_MODULE)
    store = Store(cache_home() / f"kstatus-{content_key([_MODULE, toolchain])}")
    if store.missing([_PROGRAM]):
        with step("building kstatus"):
            store.get(_PROGRAM, partial(_compile, go))
    return store.folder / _PROGRAM


def _compile(go: str, path: Path) -> None:
    no_cgo = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    run([go, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "."], cwd=_MODULE, env=no_cgo)
