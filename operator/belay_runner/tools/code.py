"""Code nodes in a Python process beside: bounded, with an empty environment, and no sandbox."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Final

_MOST_BYTES: Final = 4 * 1024 * 1024
_BOOT: Final = """
import json, resource, sys
job = json.load(sys.stdin)
for name, most in job["limits"].items():
    resource.setrlimit(getattr(resource, name), (most, most))
out, sys.stdout = sys.stdout, sys.stderr
scope = {"__name__": "code"}
exec(compile(job["code"], "code", "exec"), scope)
json.dump(scope["main"](**job["inputs"]), out)
"""


class CodeFailed(Exception):
    """The code did not give a result; the message is its own last word."""


class CodeProcess:
    """Runs `main(**inputs)` of a code node."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, language: str, code: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        if language != "python3":
            raise CodeFailed(f"{language} is not supported; Python is")
        limits = {
            "RLIMIT_AS": 512 * 1024 * 1024,
            "RLIMIT_CPU": int(self._seconds) + 1,
            "RLIMIT_FSIZE": _MOST_BYTES,
            "RLIMIT_CORE": 0,
        }
        job = json.dumps({"code": code, "inputs": inputs, "limits": limits})
        output = self._output(job)
        try:
            result = json.loads(output or "null")
            # What is no JSON could neither be told nor come back from a pause.
            json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise CodeFailed(f"the result is not JSON: {error}") from error
        if not isinstance(result, dict):
            raise CodeFailed(f"main() must give an object, not {type(result).__name__}")
        return result

    def _output(self, job: str) -> str:
        """Output goes to files, whose size the process's own limit bounds."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            try:
                done = subprocess.run(  # noqa: S603 - what it is for
                    [sys.executable, "-I", "-S", "-c", _BOOT],
                    input=job,
                    stdout=out,
                    stderr=err,
                    text=True,
                    env={},
                    cwd="/",
                    timeout=self._seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise CodeFailed(f"it took longer than {self._seconds:g} s") from error
            out.seek(0)
            err.seek(0)
            if done.returncode:
                lines = err.read()[-4000:].strip().splitlines()
                raise CodeFailed(lines[-1] if lines else f"it ended with {done.returncode}")
            return out.read()
