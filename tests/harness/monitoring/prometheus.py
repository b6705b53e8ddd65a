"""A real Prometheus and a real Alertmanager on loopback, with the rules as they are shipped."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from tests.harness import network, packages
from tests.harness.processes import Processes
from tests.harness.readiness import answers
from tests.harness.setup import ROOT

RULES = ROOT / "deploy/monitoring/rules.yaml"
_MANAGER = "prometheus-alertmanager"
_TEMPLATES = "/usr/share/prometheus/alertmanager"
"""Debian's Alertmanager finds its templates here and nowhere else."""
_OFTEN = "250ms"
"""How often is scraped, and rules are evaluated."""

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs."""

    url: str
    http: aiohttp.ClientSession

    async def ask(self, query: str) -> list[Sample]:
        """The samples of an instant query: `metric` with its labels, and `value`."""
        where = f"{self.url}/api/v1/query"
        async with self.http.get(where, params={"query": query}) as answer:
            told = await answer.json()
            assert answer.ok, told
            return list(told["data"]["result"])


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run. Raises `SetupError` where it cannot be had."""

    prometheus: Path = field(default_factory=lambda: packages.program("prometheus", "prometheus"))
    alertmanager: Path = field(default_factory=lambda: packages.program(_MANAGER, _MANAGER))
    templates: tuple[Path, ...] = field(
        default_factory=lambda: tuple(
            packages.part(_MANAGER, f"{_TEMPLATES[1:]}/{name}.tmpl")
            for name in ("default", "email")
        )
    )


@contextmanager
def running(
    programs: Programs,
    targets: Sequence[str],
    webhook: str,
    folder: Path,
    *,
    patience: str,
    http: aiohttp.ClientSession,
) -> Iterator[Prometheus]:
    """Scrape `targets`, tell the webhook of alerts. `patience` stands for each wait in the rules.

    The waits (`for`, `keep_firing_for`) are minutes as shipped; nothing else of a rule is changed.
    """
    server, manager = network.free_ports(2)
    _configure(folder, targets, webhook, f"127.0.0.1:{manager}", patience)
    processes = Processes(folder / "processes", owned=True)
    try:
        _start(processes, programs, folder, server, manager)
        yield Prometheus(f"http://127.0.0.1:{server}", http)
    finally:
        processes.stop()


def _start(
    processes: Processes, programs: Programs, folder: Path, server: int, manager: int
) -> None:
    alertmanager: list[str | Path] = [
        *_with_templates(programs, folder),
        programs.alertmanager,
        f"--config.file={folder}/alertmanager.yaml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{manager}",
        "--cluster.listen-address=",
    ]
    prometheus: list[str | Path] = [
        programs.prometheus,
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address=127.0.0.1:{server}",
    ]
    processes.start("alertmanager", alertmanager)
    processes.start("prometheus", prometheus)
    for name, port in (("alertmanager", manager), ("prometheus", server)):
        ready = partial(answers, f"http://127.0.0.1:{port}/-/ready")
        processes.await_("readiness", name, ready)


def _with_templates(programs: Programs, folder: Path) -> list[str]:
    """Put before a command: it sees the templates in their place, and nobody else does."""
    if Path(_TEMPLATES).exists():
        return []
    place = folder / "templates"
    place.mkdir()
    for each in programs.templates:
        shutil.copy(each, place)
    show = f"mount -t tmpfs none /usr/share && mkdir -p {Path(_TEMPLATES).parent}"
    show += f' && ln -s {place} {_TEMPLATES} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", show, "sh"]


def _configure(
    folder: Path, targets: Sequence[str], webhook: str, manager: str, patience: str
) -> None:
    waits = re.compile(r"^(\s+(?:keep_firing_)?for:) \w+$", re.MULTILINE)
    scrape = {
        "job_name": "belay",
        "honor_labels": True,
        "static_configs": [{"targets": list(targets), "labels": {"namespace": "belay-system"}}],
    }
    files = {
        "rules.yaml": waits.sub(rf"\1 {patience}", RULES.read_text()),
        "prometheus.yaml": yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": _OFTEN,
                    "scrape_timeout": _OFTEN,
                    "evaluation_interval": _OFTEN,
                },
                "rule_files": ["rules.yaml"],
                "scrape_configs": [scrape],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
            }
        ),
        "alertmanager.yaml": yaml.safe_dump(
            {
                "route": {
                    "receiver": "webhook",
                    "group_by": ["..."],
                    "group_wait": "0s",
                    "group_interval": "1s",
                },
                "receivers": [{"name": "webhook", "webhook_configs": [{"url": webhook}]}],
            }
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
