"""graphon's nodes, bound to the runner's own ways out: HTTP, code, models, templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from graphon.dsl import SlimDslNodeFactory
from graphon.dsl.errors import DslError
from graphon.entities.graph_config import NodeConfigDict
from graphon.enums import BuiltinNodeTypes, NodeExecutionType
from graphon.file.models import File
from graphon.http import HttpClientProtocol, HttpResponse
from graphon.nodes.base.node import Node
from graphon.nodes.code.code_node import CodeNode
from graphon.nodes.code.entities import CodeLanguage, CodeNodeData
from graphon.nodes.code.limits import CodeNodeLimits
from graphon.nodes.code.protocols import CodeExecutorProtocol
from graphon.nodes.http_request.config import build_http_request_config
from graphon.nodes.http_request.entities import HttpRequestNodeData
from graphon.nodes.http_request.node import HttpRequestNode, HttpRequestNodeDependencies
from graphon.nodes.template_transform.entities import TemplateTransformNodeData
from graphon.nodes.template_transform.template_transform_node import TemplateTransformNode
from graphon.template_rendering import Jinja2TemplateRenderer, TemplateRenderError

from belay_runner.engine.model import Model
from belay_runner.tools import Tools
from belay_runner.tools.code import CodeFailed, CodeProcess
from belay_runner.tools.templates import TemplateFailed, render
from belay_runner.tools.web import CallFailed, Web

_MODEL_NODES: Final = frozenset(
    {
        BuiltinNodeTypes.LLM,
        BuiltinNodeTypes.QUESTION_CLASSIFIER,
        BuiltinNodeTypes.PARAMETER_EXTRACTOR,
    }
)
_CODE_LIMITS: Final = CodeNodeLimits(
    max_string_length=400_000,
    max_number=2**63 - 1,
    min_number=-(2**63),
    max_precision=20,
    max_depth=10,
    max_number_array_length=1000,
    max_string_array_length=1000,
    max_object_array_length=1000,
)


@dataclass(slots=True)
class Nodes(SlimDslNodeFactory):
    """Makes each node of a graph. Copied by graphon for each frame of a run."""

    tools: Tools

    def validate_node(self, node_config: NodeConfigDict) -> NodeExecutionType:
        kind = self._node_request(node_config).node_type
        wanting = self._wanting(kind)
        if wanting:
            raise DslError(f"node {node_config['id']}: {wanting}", code="node.switched_off")
        # A dataclass with slots is made anew, so super() without arguments finds the old class.
        return SlimDslNodeFactory.validate_node(self, node_config)

    def _wanting(self, kind: str) -> str | None:
        if kind == BuiltinNodeTypes.CODE and self.tools.code is None:
            return "code nodes are switched off; the option is --allow-code"
        if kind in _MODEL_NODES and self.tools.models is None:
            return "it needs a language model; the option is --llm-url"
        if kind == BuiltinNodeTypes.TOOL:
            return "tool plugins are not supported"
        return None

    def _resolve_slim_llm_settings(
        self,
        *,
        node_id: str,
        data: Mapping[str, Any],
        node_type_label: str,
    ) -> tuple[dict[str, Any], str, str, dict[str, Any]]:
        """No plugin, and no credentials of a definition's own: there is one endpoint."""
        del node_id, node_type_label
        return dict(data), str((data.get("model") or {}).get("provider") or ""), "", {}

    def _create_slim_llm_runtime(
        self, *, node_id: str, data: Mapping[str, Any], node_type_label: str
    ) -> tuple[dict[str, Any], Any]:
        del node_id, node_type_label
        assert self.tools.models is not None  # noqa: S101 - validate_node refused it
        return dict(data), Model(self.tools.models, data.get("model") or {})

    def _common(self, request: Any) -> dict[str, Any]:
        return {
            "node_id": request.node_id,
            "init_params": self.init_params,
            "runtime_state": self.runtime_state,
        }

    def _template(self, request: Any) -> Node:
        return TemplateTransformNode(
            data=TemplateTransformNodeData.model_validate(request.data_payload),
            jinja2_template_renderer=_Templates(),
            **self._common(request),
        )

    def _asking(self, request: Any) -> Node:
        """Prompts may be templates; the engine renders those without a sandbox, or not at all."""
        build = SlimDslNodeFactory.NODE_BUILDERS[request.node_type]
        node: Node = build(self, request)
        for name in ("_jinja2_template_renderer", "_template_renderer"):
            if hasattr(node, name):
                setattr(node, name, _Templates())
        return node

    def _code(self, request: Any) -> Node:
        assert self.tools.code is not None  # noqa: S101 - validate_node refused it
        return CodeNode(
            data=CodeNodeData.model_validate(request.data_payload),
            code_executor=_Code(self.tools.code),
            code_limits=_CODE_LIMITS,
            **self._common(request),
        )

    def _http(self, request: Any) -> Node:
        return HttpRequestNode(
            data=HttpRequestNodeData.model_validate(request.data_payload),
            # Repeating a call is the node's own wish (retry_config), never a default.
            http_request_config=build_http_request_config(ssrf_default_max_retries=0),
            dependencies=HttpRequestNodeDependencies(
                tool_file_manager_factory=_NoFiles,
                file_manager=_NoFiles(),
                file_reference_factory=_NoFiles(),
                http_client=_Calls(self.tools.web),
            ),
            **self._common(request),
        )

    NODE_BUILDERS: ClassVar[Mapping[Any, Any]] = {
        **SlimDslNodeFactory.NODE_BUILDERS,
        BuiltinNodeTypes.TEMPLATE_TRANSFORM: _template,
        BuiltinNodeTypes.CODE: _code,
        BuiltinNodeTypes.HTTP_REQUEST: _http,
        **dict.fromkeys(_MODEL_NODES, _asking),
    }


class _Templates(Jinja2TemplateRenderer):
    def render_template(self, template: str, variables: Mapping[str, Any]) -> str:
        try:
            return render(template, variables)
        except TemplateFailed as error:
            raise TemplateRenderError(str(error)) from error


class _Code(CodeExecutorProtocol):
    def __init__(self, process: CodeProcess) -> None:
        self._process = process

    def execute(
        self, *, language: CodeLanguage, code: str, inputs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return self._process.run(str(language.value), code, inputs)

    def is_execution_error(self, error: Exception) -> bool:
        return isinstance(error, CodeFailed)


class _NeverRepeated(Exception):
    """Asked for by the port. By this name the engine would hide why a call failed."""


class _Calls(HttpClientProtocol):
    def __init__(self, web: Web) -> None:
        self._web = web

    @property
    def max_retries_exceeded_error(self) -> type[Exception]:
        return _NeverRepeated

    @property
    def request_error(self) -> type[Exception]:
        return CallFailed

    def get(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("GET", url, max_retries, sent)

    def head(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("HEAD", url, max_retries, sent)

    def post(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("POST", url, max_retries, sent)

    def put(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("PUT", url, max_retries, sent)

    def delete(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("DELETE", url, max_retries, sent)

    def patch(self, url: str, max_retries: int = 0, **sent: Any) -> HttpResponse:
        return self._call("PATCH", url, max_retries, sent)

    def _call(self, method: str, url: str, _: int, sent: dict[str, Any]) -> HttpResponse:
        """The definition's wishes for redirects and for unverified TLS are not heard."""
        timeouts = sent.pop("timeout")
        for ignored in ("ssl_verify", "follow_redirects"):
            sent.pop(ignored, None)
        answer = self._web.call(method, url, timeouts, **sent)
        return HttpResponse(
            status_code=answer.status,
            headers=answer.headers,
            content=answer.content,
            url=answer.url,
        )


class _NoFiles:
    """Files are not supported: what would make, fetch or name one says so."""

    def download(self, f: File, /) -> bytes:
        raise CallFailed(f"files are not supported: {f.filename}")

    def create_file_by_raw(self, **_: Any) -> Any:
        raise CallFailed("the answer is a file, and files are not supported")

    def get_file_generator_by_tool_file_id(self, _: str) -> tuple[None, None]:
        return None, None

    def build_from_mapping(self, **_: Any) -> File:
        raise CallFailed("files are not supported")
