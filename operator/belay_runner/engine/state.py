"""The state of a paused run: env taken out when it leaves, and added when it comes back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphon.runtime.variable_pool import VariablePool
from graphon.variables.variables import SecretVariable

_ENV: Final = "env"


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of env, and whether it must never be told."""

    name: str
    value: Any
    secret: bool


def add_env(pool: VariablePool, env: Mapping[str, Variable]) -> None:
    """Put env into a run's variables, also into those of a run that comes back without it."""
    for variable in env.values():
        value = variable.value
        if variable.secret:
            selector = [_ENV, variable.name]
            value = SecretVariable(name=variable.name, value=str(value), selector=selector)
        pool.add((_ENV, variable.name), value)


def without_env(dump: str) -> tuple[str, str, list[str]]:
    """(text, snapshot version, names that were taken out) of the engine's own dump.

    A start node's outputs repeat the whole of env under `env.NAME`, beside env itself.
    """
    state = json.loads(dump)
    names: set[str] = set()
    _strip(state, names)
    return json.dumps(state, separators=(",", ":")), str(state.get("version")), sorted(names)


def _strip(value: Any, names: set[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _strip(each, names)
    if not isinstance(value, dict):
        return
    variables = value.get("variable_dictionary")
    if isinstance(variables, dict):
        names.update(variables.pop(_ENV, {}))
        for outputs in variables.values():
            for key in [k for k in outputs if k.startswith(f"{_ENV}.")]:
                names.add(key.removeprefix(f"{_ENV}."))
                del outputs[key]
    for each in value.values():
        _strip(each, names)
