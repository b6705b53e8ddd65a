"""Label selectors in the language of queries."""

from belay.shell.resources import Object

SELECTOR_OPERATORS = {"In": "in", "NotIn": "notin"}


def label_selector(selector: Object) -> str:
    """A metav1.LabelSelector in the query's own language."""
    parts = [f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        key, operator = one["key"], one["operator"]
        if operator in SELECTOR_OPERATORS:
            parts.append(f"{key} {SELECTOR_OPERATORS[operator]} ({','.join(one['values'])})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts)
