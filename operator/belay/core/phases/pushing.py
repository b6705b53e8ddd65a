"""Reload: each pod of the engine is told of a content, all validate it before any uses it."""

from belay.api.status import RevisionRef
from belay.api.workflow import Update
from belay.core.delivery import config_map_name
from belay.core.engine.actions import PushContent
from belay.core.engine.view import EnginePod
from belay.core.observed import Observed


def behind(seen: Observed, ref: RevisionRef) -> tuple[EnginePod, ...]:
    """Pods that answer, and whose new runs would begin with another content."""
    engine = seen.engine
    if engine is None or not seen.spec.reloads:
        return ()
    told = {w.name for w in seen.spec.target.workloads if w.update is Update.RELOAD}
    pods = {p.uid for w in seen.workloads if w.name in told for p in w.living}
    return tuple(p for p in engine.heard if p.uid in pods and p.active != ref.content_digest)


def validation(seen: Observed, ref: RevisionRef) -> PushContent | None:
    """What has all pods know the content; None where they do."""
    content, engine = _content(seen, ref), seen.engine
    fresh = tuple(p for p in behind(seen, ref) if ref.content_digest not in p.loaded)
    if not fresh or engine is None or content is None:
        return None
    return PushContent(engine, ref, content, validated=fresh)


def activation(seen: Observed, ref: RevisionRef) -> PushContent | None:
    """What has all pods use it for new runs, with compare-and-set; None where they do."""
    pods, engine = behind(seen, ref), seen.engine
    if not pods or engine is None:
        return None
    return PushContent(engine, ref, _content(seen, ref) or "", activated=pods)


def has_begun(seen: Observed, ref: RevisionRef) -> bool:
    """Whether a pod uses it already, or would after a restart."""
    engine = seen.engine
    digest = ref.content_digest
    pointed = any(w.carried and w.carried.content_digest == digest for w in seen.workloads)
    return pointed or (engine is not None and any(p.active == digest for p in engine.heard))


def _content(seen: Observed, ref: RevisionRef) -> str | None:
    there = seen.config_maps.get(config_map_name(seen.key.name, ref.content_digest))
    return there.content if there is not None else None
