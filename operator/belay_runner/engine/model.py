"""graphon's port for language models, over any endpoint like OpenAI's."""

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from graphon.model_runtime.entities.common_entities import I18nObject
from graphon.model_runtime.entities.llm_entities import (
    LLMMode,
    LLMResult,
    LLMResultChunk,
    LLMResultChunkDelta,
    LLMResultChunkWithStructuredOutput,
    LLMResultWithStructuredOutput,
    LLMUsage,
)
from graphon.model_runtime.entities.message_entities import AssistantPromptMessage, PromptMessage
from graphon.model_runtime.entities.model_entities import (
    AIModelEntity,
    FetchFrom,
    ModelFeature,
    ModelPropertyKey,
    ModelType,
)
from graphon.nodes.llm.runtime_protocols import LLMProtocol

from belay_runner.tools.models import ModelFailed, Models, Reply

_CONTEXT: Final = 128_000
_CHARACTERS_PER_TOKEN: Final = 4


class Model(LLMProtocol):
    """One model of the endpoint, as a node has set it."""

    def __init__(self, models: Models, settings: Mapping[str, Any]) -> None:
        self._models = models
        self._provider = str(settings.get("provider") or "")
        self._name = str(settings.get("name") or "")
        self._parameters = dict(settings.get("completion_params") or {})

    @property
    def provider(self) -> str:
        return self._provider

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def parameters(self) -> Mapping[str, Any]:
        return dict(self._parameters)

    @parameters.setter
    def parameters(self, value: Mapping[str, Any]) -> None:
        self._parameters = dict(value)

    @property
    def stop(self) -> Sequence[str] | None:
        return None

    def get_model_schema(self) -> AIModelEntity:
        return AIModelEntity(
            model=self._name,
            label=I18nObject(en_US=self._name),
            model_type=ModelType.LLM,
            features=[ModelFeature.STRUCTURED_OUTPUT],
            fetch_from=FetchFrom.CUSTOMIZABLE_MODEL,
            model_properties={
                ModelPropertyKey.MODE: LLMMode.CHAT.value,
                ModelPropertyKey.CONTEXT_SIZE: _CONTEXT,
            },
        )

    def get_llm_num_tokens(self, prompt_messages: Sequence[PromptMessage]) -> int:
        return sum(len(m.get_text_content()) for m in prompt_messages) // _CHARACTERS_PER_TOKEN

    def invoke_llm(
        self,
        *,
        prompt_messages: Sequence[PromptMessage],
        model_parameters: Mapping[str, Any],
        tools: Any,  # noqa: ARG002 - the port's; agents are not supported
        stop: Sequence[str] | None,
        stream: bool,
    ) -> LLMResult | Generator[LLMResultChunk, None, None]:
        reply = self._ask(prompt_messages, model_parameters, stop)
        if stream:
            return self._chunks(reply)
        return LLMResult(model=self._name, message=_message(reply), usage=_usage(reply))

    def invoke_llm_with_structured_output(
        self,
        *,
        prompt_messages: Sequence[PromptMessage],
        json_schema: Mapping[str, Any],
        model_parameters: Mapping[str, Any],
        stop: Sequence[str] | None,
        stream: bool,
    ) -> LLMResultWithStructuredOutput | Generator[LLMResultChunkWithStructuredOutput, None, None]:
        reply = self._ask(prompt_messages, model_parameters, stop, json_schema)
        found = _parsed(reply)
        if stream:
            return self._structured_chunks(reply, found)
        return LLMResultWithStructuredOutput(
            model=self._name,
            message=_message(reply),
            usage=_usage(reply),
            structured_output=found,
        )

    def is_structured_output_parse_error(self, error: Exception) -> bool:
        return isinstance(error, ModelFailed)

    def _ask(
        self,
        messages: Sequence[PromptMessage],
        parameters: Mapping[str, Any],
        stop: Sequence[str] | None,
        schema: Mapping[str, Any] | None = None,
    ) -> Reply:
        told = [{"role": m.role.value, "content": m.get_text_content()} for m in messages]
        return self._models.ask(self._name, told, {**self._parameters, **parameters}, stop, schema)

    def _chunks(self, reply: Reply) -> Generator[LLMResultChunk, None, None]:
        yield LLMResultChunk(model=self._name, delta=_delta(reply))

    def _structured_chunks(
        self, reply: Reply, found: Mapping[str, Any]
    ) -> Generator[LLMResultChunkWithStructuredOutput, None, None]:
        yield LLMResultChunkWithStructuredOutput(
            model=self._name, delta=_delta(reply), structured_output=found
        )


def _delta(reply: Reply) -> LLMResultChunkDelta:
    return LLMResultChunkDelta(
        index=0, message=_message(reply), usage=_usage(reply), finish_reason="stop"
    )


def _message(reply: Reply) -> AssistantPromptMessage:
    return AssistantPromptMessage(content=reply.text)


def _usage(reply: Reply) -> LLMUsage:
    return LLMUsage.from_metadata(
        {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    )


def _parsed(reply: Reply) -> Mapping[str, Any]:
    try:
        found = json.loads(reply.text)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise ModelFailed("the model was asked for JSON and gave something else") from error
    if not isinstance(found, dict):
        raise ModelFailed("the model was asked for an object and gave something else")
    return found
