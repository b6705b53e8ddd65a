"""What deploy/monitoring holds besides rules.yaml: the same for the operator, the dashboard.

python -m tests.harness.monitoring            write it
python -m tests.harness.monitoring --check    fail where what is there differs
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.harness.monitoring import dashboard
from tests.harness.setup import ROOT, say

FOLDER = ROOT / "deploy/monitoring"
_RULE = """\
# Derived from rules.yaml by `make monitoring`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: belay
spec:
"""


def generated() -> dict[Path, str]:
    """Each generated file and what it has to hold."""
    return {
        FOLDER / "prometheusrule.yaml": _RULE + _indented((FOLDER / "rules.yaml").read_text()),
        FOLDER / "dashboard.json": dashboard.text(),
    }


def _indented(rules: str) -> str:
    lines = rules[rules.index("groups:") :].splitlines()
    return "".join(f"  {line}".rstrip() + "\n" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Write, or with `--check` compare."""
    files = generated()
    differing = [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    if "--check" in arguments:
        for path in differing:
            say(f"{path.relative_to(ROOT)} is not what its sources say: run `make monitoring`")
        return 1 if differing else 0
    for path in differing:
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
