"""What kube-score finds in manifests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.harness import charts, go_tools
from tests.harness.setup import SetupError, run

_OPTIONS = (
    "--ignore-container-cpu-limit",  # a limit throttles the way back
    *(
        f"--ignore-test={test}"
        for test in (
            "container-image-pull-policy",  # a pull at each start would need the registry then
            "container-ephemeral-storage-request-and-limit",  # nothing is written but the log
            "deployment-has-host-podantiaffinity",  # topologySpreadConstraints do it
            "container-image-tag",
        )
    ),
)


def score(objects: Sequence[dict[str, Any]]) -> str:
    """The findings; empty where there are none. What hooks start lives for seconds only."""
    lasting = [each for each in objects if not charts.is_hook(each)]
    scored = [each for each in lasting if each["kind"] != "CustomResourceDefinition"]
    options: list[str | Path] = ["score", "--output-format=ci", *_OPTIONS, "-"]
    try:
        run(
            [go_tools.program(go_tools.KUBE_SCORE), *options],
            stdin=yaml.dump_all(scored, Dumper=yaml.CSafeDumper),
        )
    except SetupError as error:
        return str(error)
    return ""
