"""From the bytes of a file to a document and its format."""

from typing import Final

from belay.api.revision import Format
from belay.core.revisions.document import Document, Plain, Refused, decode
from belay.core.revisions.json_text import read_json
from belay.core.revisions.yaml_text import read_yaml

GRAPH_MODES: Final = frozenset({"workflow", "advanced-chat"})
GRAPHLESS_MODES: Final = frozenset({"chat", "agent-chat", "completion"})


def parse(content: bytes, form: Format) -> Document:
    """Read the bytes in the given format; raises Refused. Dify DSL is YAML."""
    text = decode(content)
    return read_json(text) if form is Format.JSON else read_yaml(text)


def detect(content: bytes) -> tuple[Format, Document]:
    """Read bytes of an unknown format: Dify DSL by its members, JSON by its syntax, else YAML.

    A Dify DSL export that is written as JSON is Dify DSL: JSON is YAML to its reader.
    """
    text = decode(content)
    if text.lstrip("\ufeff \t\r\n")[0] in "{[":
        try:
            as_json = read_json(text)
        except Refused:
            as_json = None
        if as_json is not None and not _is_dify(as_json.value):
            return Format.JSON, as_json
    document = read_yaml(text)
    return (Format.DIFY if _is_dify(document.value) else Format.YAML), document


def _is_dify(value: Plain) -> bool:
    if not isinstance(value, dict):
        return False
    has_content = "workflow" in value or "model_config" in value
    app = value.get("app")
    if not isinstance(app, dict):
        return has_content and value.get("kind") == "app"
    mode = app.get("mode")
    known = isinstance(mode, str) and mode in GRAPH_MODES | GRAPHLESS_MODES
    return known or value.get("kind") == "app" or ("mode" in app and has_content)
