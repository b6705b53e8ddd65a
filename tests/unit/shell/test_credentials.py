"""Headers of checks, from the check and from Secrets."""

import asyncio
import base64
from typing import Any

import pytest
from tests.unit.shell.virtual_time import in_virtual_time

from belay.api.check import HttpCheck
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.errors import translate
from belay.shell.resources import SECRETS, Resource

VALUE = "Bearer s3cr3t-c4n4ry"
KIND = "belay.dev/check-credentials"


def check(*headers: dict[str, Any]) -> HttpCheck:
    return HttpCheck.model_validate({"port": 8080, "headers": list(headers)})


def from_secret(key: str = "token", name: str = "crm") -> dict[str, Any]:
    return {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def secret(value: bytes = VALUE.encode(), kind: str | None = KIND) -> dict[str, Any]:
    return {"type": kind, "data": {"token": base64.b64encode(value).decode()}}


class Secrets:
    """Answers GETs of Secrets: an object, or the error of an HTTP status."""

    def __init__(self, answer: dict[str, Any] | int) -> None:
        self.answer = answer
        self.read: list[tuple[str | None, str]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        assert resource is SECRETS
        self.read.append((namespace, name))
        self.asked.set()
        await self.gate.wait()
        if isinstance(self.answer, int):
            raise translate(self.answer, {}, None)
        return self.answer


async def test_a_check_without_secrets_reads_none() -> None:
    secrets = Secrets(500)
    headers = await Credentials(secrets).resolve("shop", check({"name": "X-A", "value": "1\t2"}))
    assert headers == {"X-A": "1\t2"}
    assert secrets.read == []


async def test_a_value_comes_from_the_secret_in_the_same_namespace() -> None:
    secrets = Secrets(secret())
    headers = await Credentials(secrets).resolve(
        "shop", check({"name": "X-A", "value": "1"}, from_secret())
    )
    assert headers == {"X-A": "1", "Authorization": VALUE}
    assert secrets.read == [("shop", "crm")]


async def test_a_refused_read_says_how_to_grant_it() -> None:
    found = await Credentials(Secrets(403)).resolve("shop", check(from_secret()))
    assert isinstance(found, Problem)
    assert found.text.startswith(
        'header Authorization: Belay may not read Secret "crm"; grant it: '
    )
    assert (
        "kubectl create role belay-check-credentials -n shop --verb=get "
        "--resource=secrets --resource-name=crm"
    ) in found.text
    assert "deploy/samples/check-credentials-role.yaml" in found.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (404, 'there is no Secret "crm": kubectl create secret generic crm -n shop --type='),
        (500, 'Secret "crm" could not be read: the API server answered 500'),
        (secret(kind="Opaque"), f'Secret "crm" is of type Opaque, not {KIND}: make it again'),
        (secret(kind=None), 'Secret "crm" is of type Opaque'),
        ({"type": KIND}, 'Secret "crm" has no key "token"'),
        (secret(b"\xff\xfe"), 'key "token" of Secret "crm" is not text'),
        (secret(VALUE.encode() + b"\n"), "ends with a line break: make it again with --from-liter"),
        (secret(VALUE.encode() + b"\r\nX: y"), "control characters"),
        (secret(VALUE.encode() + b"\0"), "control characters"),
        (secret(b" " + VALUE.encode()), "blanks around it"),
        (secret(b""), "is empty"),
        (secret(VALUE.encode() * 300), "is longer than 4096 characters"),
    ],
)
async def test_what_is_wrong_with_a_secret_is_said_without_its_value(
    answer: dict[str, Any] | int, said: str
) -> None:
    found = await Credentials(Secrets(answer)).resolve("shop", check(from_secret()))
    assert isinstance(found, Problem)
    assert said in found.text
    assert "s3cr3t" not in found.text


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "\x7f", "\x1b[31m"])
async def test_a_header_in_clear_must_be_legal_too(value: str) -> None:
    good = check({"name": "X-A", "value": "1"})
    header = good.headers[0].model_copy(update={"value": value})
    bad = good.model_copy(update={"headers": [header]})
    found = await Credentials(Secrets(500)).resolve("shop", bad)
    assert isinstance(found, Problem)
    assert found.text.startswith("header X-A: ")


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "Expect", "TE"]
)
async def test_headers_that_frame_the_request_are_not_the_users(name: str) -> None:
    found = await Credentials(Secrets(500)).resolve("shop", check({"name": name, "value": "1"}))
    assert found == Problem(f"header {name} is Belay's own to set: take it out of the check")


async def test_askers_at_the_same_time_share_one_read() -> None:
    secrets = Secrets(secret())
    secrets.gate.clear()
    credentials = Credentials(secrets)
    asking = [
        asyncio.create_task(credentials.resolve("shop", check(from_secret()))) for _ in range(9)
    ]
    await secrets.asked.wait()
    asking[0].cancel()
    secrets.gate.set()
    first, *others = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert others == [{"Authorization": VALUE}] * 8
    assert secrets.read == [("shop", "crm")]


async def test_a_secret_is_kept_apart_by_namespace_and_name() -> None:
    secrets = Secrets(secret())
    credentials = Credentials(secrets)
    for namespace in ("shop", "other", "shop"):
        await credentials.resolve(namespace, check(from_secret()))
        await credentials.resolve(namespace, check(from_secret(name="erp")))
    assert sorted(secrets.read) == [
        ("other", "crm"),
        ("other", "erp"),
        ("shop", "crm"),
        ("shop", "erp"),
    ]


def test_a_secret_is_read_again_when_its_time_is_over() -> None:
    async def story() -> None:
        secrets = Secrets(403)
        credentials = Credentials(secrets, kept=5)
        assert isinstance(await credentials.resolve("shop", check(from_secret())), Problem)
        secrets.answer = secret()
        await asyncio.sleep(4.9)
        assert isinstance(await credentials.resolve("shop", check(from_secret())), Problem)
        await asyncio.sleep(0.2)
        headers = await credentials.resolve("shop", check(from_secret()))
        assert headers == {"Authorization": VALUE}
        assert len(secrets.read) == 2

    in_virtual_time(story())


async def test_no_repr_shows_a_value() -> None:
    credentials = Credentials(Secrets(secret()))
    await credentials.resolve("shop", check(from_secret()))
    shown = repr(vars(credentials))
    assert "crm" in shown
    assert base64.b64encode(VALUE.encode()).decode() not in shown
    assert VALUE not in shown
