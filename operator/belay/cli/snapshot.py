"""`belay snapshot`: from a file to a WorkflowRevision."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Binding, Format, WorkflowRevisionSpec
from belay.cli.git import provenance
from belay.cli.known import Known, known_revisions, next_revision
from belay.cli.manifest import manifest, outgrows_client_side_apply, to_yaml
from belay.core.revisions.changes import changes_text, compare, size_text
from belay.core.revisions.dify import check
from belay.core.revisions.document import Document, Refused, short
from belay.core.revisions.read import detect, parse
from belay.core.revisions.revision import Draft, Verified, build, verify
from belay.core.revisions.secrets import find_secrets
from belay.core.revisions.take_out import take_out
from belay.shell.errors import ApiError, NotFound, Unavailable
from belay.shell.resources import REVISIONS

BAD_INPUT: Final = 2
FAILED: Final = 1
_NAMED_SECRETS: Final = 8
_RULES: Final = {
    "workflow_name": (
        "--workflow",
        "at most 52 lower-case letters, digits and hyphens; no hyphen at an end",
    ),
    "revision": ("--revision", "at most 24 lower-case letters and digits, with dots between"),
    "name": ("--secret-name", "the name of a Secret: lower-case letters, digits, hyphens, dots"),
    "message": ("--message", "at most 4096 characters"),
    "author": ("--author", "at most 256 characters"),
}


class Stop(Exception):
    """The command ends here, with a message for people and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    file: Path
    workflow: str
    revision: str | None = None
    message: str | None = None
    author: str | None = None
    secret_name: str | None = None
    form: Format | None = None
    compress: bool = False
    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    apply: bool = False


def snapshot(  # noqa: PLR0913 - each parameter is an option of the command
    *,
    file: Annotated[Path, typer.Option("--file", "-f", help="Definition: YAML or JSON.")],
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="Name of the Workflow.")],
    revision: Annotated[
        str | None, typer.Option(help="Name of the revision; by default v<highest + 1>.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Why this revision was made.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who made it; by default git's user.name and user.email.")
    ] = None,
    secret_name: Annotated[
        str | None, typer.Option(help="Secret to refer to in place of secrets in the file.")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="What the file is written in.")
    ] = None,
    compress: Annotated[bool, typer.Option("--gzip", help="Store the definition gzipped.")] = False,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n")] = None,
    kubeconfig: Annotated[str | None, typer.Option()] = None,
    context: Annotated[str | None, typer.Option()] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Create it in the cluster instead of printing it.")
    ] = False,
) -> None:
    """Make an immutable WorkflowRevision from a file: printed, or created with --apply."""
    request = Request(
        file=file,
        workflow=workflow,
        revision=revision,
        message=message,
        author=author,
        secret_name=secret_name,
        form=form,
        compress=compress,
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
        apply=apply,
    )
    try:
        asyncio.run(_snapshot(request))
    except Stop as stop:
        typer.echo(str(stop), err=True)
        raise typer.Exit(stop.code) from None


async def _snapshot(request: Request) -> None:
    form, document = _read(request)
    document, bindings = _without_secrets(request, form, document)
    draft = _draft(request, form, document, bindings)
    spec = _build(draft)
    if request.revision is None or request.apply:
        await _with_cluster(request, draft)
    else:
        _print(request, spec)
        _report(request, spec, [])


def _read(request: Request) -> tuple[Format, Document]:
    try:
        with request.file.open("rb") as opened:
            content = opened.read(MAX_DELIVERED_BYTES + 1)
    except OSError as error:
        raise Stop(f"{request.file}: {error.strerror}", BAD_INPUT) from None
    try:
        if request.form is None:
            form, document = detect(content)
        else:
            form, document = request.form, parse(content, request.form)
    except Refused as error:
        raise Stop(f"{request.file}: {error}", BAD_INPUT) from None
    problems = check(document) if form is Format.DIFY else []
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Stop(f"{request.file}: {problems[0]}{more}", BAD_INPUT)
    return form, document


def _without_secrets(
    request: Request, form: Format, document: Document
) -> tuple[Document, Sequence[Binding]]:
    if request.secret_name is not None:
        try:
            taken = take_out(document, form, request.secret_name)
        except Refused as error:
            raise Stop(f"{request.file}: {error}", BAD_INPUT) from None
        except ValidationError as error:
            raise Stop(_first(error), BAD_INPUT) from None
        return taken.document, taken.bindings
    secrets = find_secrets(document)
    if secrets:
        many = f"{len(secrets)} secret{'s' if len(secrets) > 1 else ''} in clear"
        places = [str(secret) for secret in secrets[:_NAMED_SECRETS]]
        if len(secrets) > _NAMED_SECRETS:
            places.append(f"and {len(secrets) - _NAMED_SECRETS} more")
        raise Stop(
            f"{request.file}: {many}: {', '.join(places)}.\n"
            "Give --secret-name NAME to refer to them instead (their values are not stored; "
            "the command to create the Secret is printed), or take them out.",
            BAD_INPUT,
        )
    return document, ()


def _draft(
    request: Request, form: Format, document: Document, bindings: Sequence[Binding]
) -> Draft:
    origin = provenance(request.file)
    return Draft(
        workflow=request.workflow,
        revision=request.revision or "v1",
        form=form,
        document=document,
        bindings=bindings,
        compress=request.compress,
        author=request.author or origin.author,
        message=request.message,
        source=origin.source,
    )


def _build(draft: Draft) -> WorkflowRevisionSpec:
    try:
        return build(draft)
    except ValidationError as error:
        raise Stop(_first(error), BAD_INPUT) from None


def _first(error: ValidationError) -> str:
    """The first problem, by the option that it came from, and what would be right."""
    problem = error.errors()[0]
    option, rule = _RULES.get(str(problem["loc"][0]), (str(problem["loc"][0]), problem["msg"]))
    return f"{option} {short(str(problem['input']))!r}: {rule}"


async def _with_cluster(request: Request, draft: Draft) -> None:
    # Here and not above: the client's libraries take most of a second to load.
    from belay.shell.cluster import Cluster  # noqa: PLC0415

    try:
        async with await Cluster.connect(request.kubeconfig, request.context) as cluster:
            namespace = request.namespace or cluster.namespace
            known = await known_revisions(cluster, namespace, request.workflow)
            spec = _choose(request, draft, known)
            if spec is None:
                return
            if request.apply:
                await cluster.create(REVISIONS, namespace, manifest(spec, namespace, managed=True))
            else:
                _print(request, spec)
            _report(request, spec, known)
    except (ConnectionError, Unavailable) as error:
        remedy = "" if request.apply else "; with --revision none is needed"
        raise Stop(f"no cluster answers: {error}{remedy}", FAILED) from None
    except NotFound as error:
        remedy = (
            "is the namespace there, and are Belay's CRDs (kubectl apply --server-side -f crds)?"
        )
        raise Stop(f"{error.message}: {remedy}", FAILED) from None
    except ApiError as error:
        raise Stop(f"the cluster refused: {error.message}", FAILED) from None


def _choose(request: Request, draft: Draft, known: list[Known]) -> WorkflowRevisionSpec | None:
    """The revision to make; None, and a word why, when it is there already."""
    if request.revision is None:
        spec = _build(replace(draft, revision=next_revision(known)))
        there = _twin(spec, known)
    else:
        spec = _build(draft)
        there = next((each for each in known if each.revision == request.revision), None)
    if there is None:
        return spec
    name = f"{request.workflow}-{there.revision}"
    if there.spec.digest != spec.digest:
        raise Stop(
            f"{name} exists with other content ({there.spec.digest[:15]}, this file is "
            f"{spec.digest[:15]}). A revision never changes: give another --revision.",
            FAILED,
        )
    layout = "" if there.spec.content_digest == spec.content_digest else "; only the layout differs"
    _say(request, f"{name} has this content already ({spec.digest[:15]}){layout}: nothing created")
    return None


def _twin(spec: WorkflowRevisionSpec, known: list[Known]) -> Known | None:
    return next((each for each in reversed(known) if each.spec.digest == spec.digest), None)


def _print(request: Request, spec: WorkflowRevisionSpec) -> None:
    body = manifest(spec, request.namespace)
    typer.echo(to_yaml(body), nl=False)
    if outgrows_client_side_apply(body):
        _say(
            request,
            "Too large for plain `kubectl apply` (above 250 KiB): use `kubectl apply "
            "--server-side`, in Argo CD the sync option ServerSideApply=true, or --gzip.",
        )


def _report(request: Request, spec: WorkflowRevisionSpec, known: list[Known]) -> None:
    verified = verify(spec)
    if not isinstance(verified, Verified):
        raise TypeError(verified.reason)
    document = parse(verified.content, spec.format)
    facts = [
        size_text(spec.format, document.value),
        f"{len(verified.content) / 1024:.1f} KiB",
        spec.digest[:15],
    ]
    did = "created" if request.apply else "printed, not created"
    name = f"{spec.workflow_name}-{spec.revision}"
    _say(request, f"{name} {did}: {', '.join(filter(None, facts))}")
    twin = _twin(spec, known)
    if twin is not None:
        _say(request, f"{name} has the content of {twin.revision}")
    elif known:
        _say_changes(request, document, known[-1], spec.format)
    if spec.bindings:
        literals = " ".join(f'--from-literal={each.name}="${each.name}"' for each in spec.bindings)
        where = f" -n {request.namespace}" if request.namespace else ""
        _say(request, "The values are not stored. With each in a shell variable of its name:")
        _say(request, f"kubectl{where} create secret generic {request.secret_name} {literals}")


def _say_changes(request: Request, document: Document, last: Known, form: Format) -> None:
    before = verify(last.spec)
    if isinstance(before, Verified) and before.format is form:
        changes = compare(form, parse(before.content, form).value, document.value)
        _say(request, changes_text(changes, last.revision))


def _say(request: Request, text: str) -> None:
    """Messages never mix with a manifest on stdout."""
    typer.echo(text, err=not request.apply)
