"""The Lua of deploy/argocd, run as Argo CD runs it: Lua 5.1 with three of its libraries."""

from functools import cache
from pathlib import Path
from typing import Any

from lupa import lua51
from tests.harness.setup import ROOT

Object = dict[str, Any]
CUSTOMIZATIONS = ROOT / "deploy/argocd/resource_customizations"
WORKFLOW = CUSTOMIZATIONS / "belay.dev/Workflow"

# Argo CD opens base and table, and gives a part of os to who requires it; strings have no methods.
_SANDBOX = """
debug.setmetatable("", nil)
local safe = {os = {date = os.date, time = os.time}}
for _, name in ipairs({"string", "math", "io", "os", "debug", "coroutine", "package", "python"}) do
  _G[name] = nil
end
require = function(name) return safe[name] or error(name .. " cannot be had in Argo CD") end
"""


def run(script: Path, obj: Object) -> Object:
    """What the script returns of `obj`, which stays as it is."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(_SANDBOX)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    found: Object = _plain(lua.execute(_text(script)))
    return found


def health(workflow: Object) -> tuple[str, str]:
    """Word and message of a Workflow's health."""
    found = run(WORKFLOW / "health.lua", workflow)
    return found["status"], found["message"]


def offered(workflow: Object) -> set[str]:
    """The actions that Argo CD lets people take."""
    found = run(WORKFLOW / "actions/discovery.lua", workflow)
    return {name for name, action in found.items() if not action.get("disabled")}


@cache
def _text(script: Path) -> str:
    return script.read_text()


def _plain(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    items = {key: _plain(each) for key, each in value.items()}
    if items and all(isinstance(key, int) for key in items):
        return [items[key] for key in sorted(items)]
    return items
