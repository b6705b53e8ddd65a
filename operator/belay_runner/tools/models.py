"""Language models: any endpoint that speaks OpenAI's chat completions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from belay_runner.tools import bounded
from belay_runner.tools.bounded import TooMuch

_MOST_BYTES: Final = 10 * 1024 * 1024
_PASSED_ON: Final = frozenset(
    {"temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed"}
)


class ModelFailed(ValueError):
    """The endpoint did not answer with a text."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A text, and what it cost in tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Models:
    """One endpoint, which the administrator named and trusts."""

    def __init__(self, url: str, key_file: Path | None, seconds: float) -> None:
        self._url, self._key_file = f"{url.rstrip('/')}/chat/completions", key_file
        self._seconds = seconds
        self._client = httpx.Client(
            timeout=httpx.Timeout(seconds, connect=min(seconds, 10)),
            trust_env=False,
            verify=httpx.create_ssl_context(),
        )

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        stop: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Reply:
        """One chat completion. Raises `ModelFailed`."""
        body: dict[str, Any] = {k: v for k, v in parameters.items() if k in _PASSED_ON}
        body |= {"model": model, "messages": list(messages)}
        if stop:
            body["stop"] = list(stop)
        if schema is not None:
            named = {"name": "answer", "schema": dict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        try:
            told = json.loads(self._answer(body))
            text = str(told["choices"][0]["message"]["content"] or "")
            text = text.encode(errors="replace").decode()
        except (TooMuch, httpx.HTTPError) as error:
            raise ModelFailed(
                f"the model's endpoint: {str(error) or type(error).__name__}"
            ) from error
        except (LookupError, TypeError, ValueError) as error:
            if isinstance(error, ModelFailed):
                raise
            raise ModelFailed("the model's endpoint answered something else") from error
        usage = told.get("usage") or {}
        counts = (int(usage.get(f"{part}_tokens") or 0) for part in ("prompt", "completion"))
        return Reply(text, *counts)

    def _answer(self, body: Mapping[str, Any]) -> bytes:
        asked = self._client.stream("POST", self._url, json=body, headers=self._headers())
        with asked as response:
            if response.status_code != httpx.codes.OK:
                raise ModelFailed(f"the model's endpoint answered {response.status_code}")
            return bounded.content(response, self._seconds, _MOST_BYTES)

    def _headers(self) -> dict[str, str]:
        if self._key_file is None:
            return {}
        return {"Authorization": f"Bearer {self._key_file.read_text().strip()}"}
