"""Act: carry out what was decided. Writes only, each idempotent and guarded by a uid.

What the server refuses for good comes back as a `Refusal`, for `decide` to think about; what may
pass by itself (`Unavailable`) or was seen too late (`Conflict`) is raised.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp

from belay.api.check import Check
from belay.api.names import MANAGER_DELIVERY
from belay.api.status import Baseline
from belay.api.words import Reason, Verdict
from belay.core.decision import (
    AccountFor,
    Action,
    ApplyTemplate,
    CreatePreview,
    DeleteConfigMap,
    DeletePod,
    DeletePreview,
    DeleteRevision,
    EnsureConfigMap,
    InstanceWrite,
    PatchTemplate,
    PauseInstances,
    ResumeInstances,
    TryDelivery,
    WritePointer,
    WriteTemplate,
)
from belay.core.delivery import PREVIEW_GRACE
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.core.observed import DryRun, Refusal
from belay.shell import account
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.checks.exec_check import may_exec
from belay.shell.checks.job_check import read_template
from belay.shell.checks.prober import Prober
from belay.shell.checks.trust import Trust
from belay.shell.engine import act as engine_act
from belay.shell.engine.engines import Engines
from belay.shell.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    FieldConflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
    is_uid_mismatch,
)
from belay.shell.instances import PATIENCE, try_pause, write_while_wished
from belay.shell.resources import CONFIG_MAPS, PODS, REVISIONS, WORKLOADS, Object, Resource
from belay.shell.turn import Turn

_UNPAUSED: Final = "Let Belay patch it, or set policy: Pin for its kind"
_NOT_LET_GO: Final = "It goes on as soon as Belay may patch it"


@dataclass(frozen=True, slots=True)
class Senses:
    """How pods are asked."""

    prober: Prober
    credentials: Credentials
    trust: Trust
    session: aiohttp.ClientSession
    engines: Engines

    async def close(self) -> None:
        await self.prober.close()
        await self.session.close()
        await self.engines.close()


async def act(turn: Turn, actions: tuple[Action, ...], senses: Senses) -> Refusal | None:
    """All actions side by side; the first refusal, in their order. Raises `ApiError`."""
    results = await asyncio.gather(
        *(_act(turn, action, senses) for action in actions), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return next((r for r in results if isinstance(r, Refusal)), None)


async def _act(turn: Turn, action: Action, senses: Senses) -> Refusal | None:
    match action:
        case TryDelivery():
            turn.dry_run = await _try(turn, action, senses)
        case EnsureConfigMap(body):
            return await _apply(turn, CONFIG_MAPS, body)
        case ApplyTemplate(body, force) | WritePointer(body, force):
            return await _apply(turn, _resource_of(body), body, force=force)
        case PatchTemplate():
            return await _patch(turn, action)
        case CreatePreview(body):
            return await _create_preview(turn, body)
        case DeletePod() | DeletePreview() | DeleteConfigMap() | DeleteRevision():
            await _delete(turn, action)
        case PauseInstances(writes):
            failed = await write_while_wished(turn, writes, seconds=PATIENCE)
            return _instances_refused(failed, _UNPAUSED)
        case ResumeInstances(writes):
            return _instances_refused(await write_while_wished(turn, writes), _NOT_LET_GO)
        case AccountFor():
            await account.keep(turn, action)
        case _:
            return await engine_act.act(turn, action, senses.engines)
    return None


async def _delete(
    turn: Turn, action: DeletePod | DeletePreview | DeleteConfigMap | DeleteRevision
) -> None:
    match action:
        case DeletePod(name, uid):
            await _gone(turn, PODS, name, uid=uid)
        case DeletePreview(name, uid):
            await _gone(turn, PODS, name, uid=uid, grace=PREVIEW_GRACE)
        case DeleteConfigMap(name, uid):
            await _gone(turn, CONFIG_MAPS, name, uid=uid)
        case DeleteRevision(name, uid):
            await _gone(turn, REVISIONS, name, uid=uid)


def _instances_refused(failed: list[tuple[InstanceWrite, ApiError]], remedy: str) -> Refusal | None:
    """What stands against some of many. What may pass by itself is raised."""
    refusals = [refusal(error, write.target) for write, error in failed]
    if not refusals:
        return None
    first, more = refusals[0], len(refusals) - 1
    told = first.message + (f" (and {more} more)" if more else "")
    return Refusal(first.reason, f"spec.instances: {told}. {remedy}")


def _resource_of(body: dict[str, Any]) -> Resource:
    """Of a workload, or of the ConfigMap that workloads updated in place watch."""
    return WORKLOADS.get((body["apiVersion"], body["kind"]), CONFIG_MAPS)


async def _apply(
    turn: Turn, resource: Resource, body: dict[str, Any], *, force: bool = False
) -> Refusal | None:
    name = body["metadata"]["name"]
    try:
        answer = await turn.cluster.apply(resource, body, manager=MANAGER_DELIVERY, force=force)
        turn.put(resource, answer)
    except ApiError as error:
        turn.forget(resource, name)
        return refusal(error, f"{resource.kind} {name}")
    return None


async def _patch(turn: Turn, action: PatchTemplate) -> Refusal | None:
    resource = WORKLOADS[action.api_version, action.kind]
    try:
        turn.put(resource, await _patched(turn, action))
    except ApiError as error:
        turn.forget(resource, action.name)
        return refusal(error, action.target)
    return None


async def _patched(turn: Turn, action: PatchTemplate, *, dry_run: bool = False) -> Object:
    try:
        return await turn.cluster.patch(
            WORKLOADS[action.api_version, action.kind],
            turn.key.namespace,
            action.name,
            action.operations,
            manager=MANAGER_DELIVERY,
            dry_run=dry_run,
        )
    except NotFound as error:
        raise Conflict(error.code, error.reason, error.message, error.causes) from error


async def _create_preview(turn: Turn, body: dict[str, Any]) -> Refusal | None:
    name = body["metadata"]["name"]
    try:
        turn.put(PODS, await turn.cluster.create(PODS, turn.key.namespace, body))
    except AlreadyExists:
        turn.forget(PODS, name)
    except ApiError as error:
        return refusal(error, f"the preview pod {name}")
    return None


async def _gone(
    turn: Turn, resource: Resource, name: str, *, uid: str | None = None, grace: int | None = None
) -> None:
    try:
        await turn.cluster.delete(resource, turn.key.namespace, name, uid=uid, grace=grace)
    except NotFound:
        return
    except Conflict as error:
        if not is_uid_mismatch(error):
            raise
    finally:
        turn.forget(resource, name)


async def _try(turn: Turn, action: TryDelivery, senses: Senses) -> DryRun:
    refusals, answers = await asyncio.gather(
        asyncio.gather(
            *(_dry_run(turn, write) for write in action.writes),
            *(_pausable(turn, write) for write in action.pauses),
            *(_askable(turn, check, senses) for check in action.checks),
        ),
        senses.prober.ask_once(action.baseline),
    )
    return DryRun(next((r for r in refusals if r is not None), None), _baseline(answers))


async def _pausable(turn: Turn, write: InstanceWrite) -> Refusal | None:
    try:
        await try_pause(turn.cluster, write)
    except ApiError as error:
        found = _instances_refused([(write, error)], _UNPAUSED)
        return replace(found, reason=Reason.INSTANCES_UNSUPPORTED) if found is not None else None
    return None


async def _askable(turn: Turn, check: Check, senses: Senses) -> Refusal | None:
    """Whether all is there that a check is asked with."""
    found: object = None
    reason = Reason.CHECK_INVALID
    if check.http is not None:
        found = await senses.credentials.resolve(turn.key.namespace, check.http)
        reason = Reason.CHECK_CREDENTIALS
    if check.tls is not None and not isinstance(found, Problem):
        found = await senses.trust.context(turn.key.namespace, check.tls, "http/1.1")
        reason = Reason.CHECK_INVALID
    if check.exec is not None:
        found = await may_exec(turn.cluster, turn.key.namespace)
        reason = Reason.CHECK_FORBIDDEN
    if check.job is not None:
        found = await read_template(
            turn.cluster, turn.key.namespace, check.job.from_, turn.key.name
        )
    if isinstance(found, Problem):
        return Refusal(reason, f'check "{check.name}": {found.text}')
    return None


async def _dry_run(turn: Turn, write: WriteTemplate | WritePointer) -> Refusal | None:
    try:
        match write:
            case ApplyTemplate(body, force) | WritePointer(body, force):
                resource = _resource_of(body)
                await turn.cluster.apply(
                    resource, body, manager=MANAGER_DELIVERY, force=force, dry_run=True
                )
            case PatchTemplate():
                await _patched(turn, write, dry_run=True)
    except ApiError as error:
        found = refusal(error, write.target)
        denied = found.reason is not Reason.DELIVERY_CONFLICT
        return Refusal(Reason.DELIVERY_DENIED, found.message) if denied else found
    return None


def refusal(error: ApiError, what: str) -> Refusal:
    """What the server said, for people. Raises `error` where another look or try may help."""
    match error:
        case FieldConflict():
            fields = "; ".join(str(c.get("message")) for c in error.causes[:3])
            message = (
                f"{what}: another manager owns fields that the delivery needs ({fields}). "
                "Nothing is forced: let its owner give them up"
            )
            return Refusal(Reason.DELIVERY_CONFLICT, message[:1024])
        case Unavailable() | Conflict() | NotFound():
            raise error
        case Invalid() if is_uid_mismatch(error):
            raise Conflict(error.code, error.reason, error.message, error.causes)
        case Forbidden() if "exceeded quota" in error.message:
            reason = Reason.ENVIRONMENT_QUOTA
        case Forbidden():
            reason = Reason.ENVIRONMENT_FORBIDDEN
        case _:
            reason = Reason.ENVIRONMENT_CONFIGURATION
    return Refusal(reason, f"{what}: {error.message}"[:1024])


_VERDICTS = {
    Answer.RIGHT: Verdict.PASS,
    Answer.WRONG: Verdict.FAIL,
    Answer.NONE: Verdict.INCONCLUSIVE,
    Answer.UNASKED: Verdict.INCONCLUSIVE,
}


def _baseline(answers: tuple[tuple[Probe, Sample], ...]) -> tuple[Baseline, ...]:
    """One line a check: Fail where any live pod answered wrong; else it counts as healthy."""
    worst: dict[str, Baseline] = {}
    for probe, sample in answers:
        name, verdict = probe.check.name, _VERDICTS[sample.answer]
        if name not in worst or verdict is Verdict.FAIL:
            worst[name] = Baseline(check=name, verdict=verdict, got=sample.got[:256])
    return tuple(worst.values())
