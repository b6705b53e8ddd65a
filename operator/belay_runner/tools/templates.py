"""Jinja templates of definitions, in a sandbox: they come from whoever may edit a workflow.

jinja2 is imported here and not where a template is met: without it the engine would fall back to
replacing plain names, and templates would succeed with wrong texts.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    autoescape=False,
    undefined=StrictUndefined,
)


class TemplateFailed(Exception):
    """The template is wrong, or wants what it may not have."""


def render(template: str, variables: Mapping[str, Any]) -> str:
    try:
        return str(_ENVIRONMENT.from_string(template).render(**variables))
    except TemplateError as error:
        raise TemplateFailed(str(error) or type(error).__name__) from error
