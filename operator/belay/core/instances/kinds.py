"""Which of the administrator's kinds a user means."""

from collections.abc import Iterable

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import Afterwards, InstanceResource, Instances


def kind_of(kinds: Iterable[InstanceKind], wanted: InstanceResource) -> InstanceKind | None:
    """The configured kind; None where there is none, or several and the group is not told."""
    found = [k for k in kinds if k.kind == wanted.kind and wanted.group in (None, k.group)]
    return found[0] if len(found) == 1 else None


def objection(kinds: tuple[InstanceKind, ...], wanted: Instances) -> str | None:
    """Why these instances cannot be paused, or ended, as the Workflow says."""
    for one in wanted.resources:
        kind = kind_of(kinds, one)
        if kind is None:
            return _unknown(kinds, one)
        if one.afterwards is Afterwards.CANCEL and kind.cancel is None:
            return (
                f"spec.instances: nothing is known that ends a {one.kind}: leave out "
                "afterwards: Cancel, or have the administrator configure cancel for the kind"
            )
    return None


def _unknown(kinds: tuple[InstanceKind, ...], one: InstanceResource) -> str:
    groups = sorted(k.group or "core" for k in kinds if k.kind == one.kind)
    if len(groups) > 1 and one.group is None:
        return f"spec.instances: {one.kind} is a kind of {', '.join(groups)}: set group"
    known = ", ".join(sorted({k.kind for k in kinds}))
    return (
        f"spec.instances: instances of the kind {one.kind} are not known here (known: {known}). "
        "The administrator adds kinds by `belay run --instance-kinds`: see "
        "docs/operations.md#kinds-of-instances"
    )
