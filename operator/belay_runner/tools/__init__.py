"""What nodes reach the world by: calls over HTTP, code in a process beside, language models."""

from dataclasses import dataclass

from belay_runner.tools.code import CodeProcess
from belay_runner.tools.models import Models
from belay_runner.tools.web import Web


@dataclass(frozen=True, slots=True)
class Tools:
    """One set for all runs. What is None is switched off."""

    web: Web
    models: Models | None
    code: CodeProcess | None
    workers: int
