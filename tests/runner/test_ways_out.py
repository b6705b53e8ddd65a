"""What nodes reach the world by: allowed, bounded, or refused."""

from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.process import Runner
from tests.runner.server import Server

from belay_runner.redaction import LIMIT, redact
from belay_runner.tools.allowed import Allowed, NotAllowed


def called(runner: Runner, url: str, **more: Any) -> dict[str, Any]:
    node = dsl.call("c", url, **more)
    ends = dsl.end(status=["c", "status_code"], body=["c", "body"])
    runner.take(dsl.app(dsl.start(), node, ends))
    return runner.run()


def test_a_call_is_made_without_redirects(runner: Runner, server: Server) -> None:
    assert called(runner, f"{server.url}/echo/there")["outputs"]["body"] == "there"
    assert called(runner, f"{server.url}/redirect")["outputs"]["status"] == 302
    assert server.calls["/echo/elsewhere"] == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost:{port}/echo/x", "localhost:{port} is not allowed"),
        ("http://127.0.0.2:{port}/echo/x", "in no allowed network"),
        ("http://[::1]:{port}/echo/x", "in no allowed network"),
        ("http://169.254.169.254/latest", "in no allowed network"),
        ("http://127.0.0.1:{port}/big/12000000", "more than"),
    ],
)
def test_a_call_that_is_not_allowed_fails_with_the_reason(
    runner: Runner, server: Server, url: str, reason: str
) -> None:
    port = server.address.rpartition(":")[2]
    data = called(runner, url.replace("{port}", port))
    assert data["status"] == "failed"
    assert reason.replace("{port}", port) in data["error"]


def test_a_call_that_takes_too_long_ends(begin: Any, server: Server) -> None:
    with begin("--http-seconds", "0.2") as own:
        for path in ("gate/too-long", "drips"):
            data = called(own, f"{server.url}/{path}")
            assert (data["status"], data["elapsed_time"] < 5) == ("failed", True)
    server.open("too-long")


@pytest.mark.parametrize(
    ("entries", "host", "port", "address", "allowed"),
    [
        (["api.example.com"], "api.example.com", 443, "93.184.216.34", True),
        (["api.example.com"], "API.example.com", 443, "93.184.216.34", True),
        (["api.example.com"], "evil.example.com", 443, "93.184.216.34", False),
        (["api.example.com:8443"], "api.example.com", 443, "93.184.216.34", False),
        (["*.example.com"], "a.b.example.com", 80, "93.184.216.34", True),
        (["*.example.com"], "badexample.com", 80, "93.184.216.34", False),
        (["*"], "anything", 80, "93.184.216.34", True),
        (["*"], "rebinds", 80, "10.0.0.1", False),
        (["*"], "rebinds", 80, "127.0.0.1", False),
        (["*"], "rebinds", 80, "::ffff:10.0.0.1", False),
        (["*"], "rebinds", 80, "169.254.169.254", False),
        (["*", "10.0.0.0/8"], "inside", 80, "10.0.0.1", True),
        (["*", "10.0.0.0/8"], "inside", 80, "::ffff:10.0.0.1", True),
        (["*"], "93.184.216.34", 80, "93.184.216.34", False),
        (["93.184.216.0/24"], "93.184.216.34", 80, "93.184.216.34", True),
        ([], "api.example.com", 443, "93.184.216.34", False),
    ],
)
def test_a_name_must_be_listed_and_its_address_public_or_in_a_listed_network(
    entries: list[str], host: str, port: int, address: str, allowed: bool
) -> None:
    listed = Allowed.of(entries)
    try:
        listed.check_host(host, port)
        listed.check_address(host, address)
    except NotAllowed:
        assert not allowed
    else:
        assert allowed


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def main():\n    while True: pass", "longer than 1 s"),
        ("def main():\n    return [1]", "must give an object"),
        ("def main():\n    return {'r': str(bytearray(2 ** 30))}", "MemoryError"),
        ("import os\ndef main():\n    return {'r': os.environ['PATH']}", "KeyError: 'PATH'"),
        ("def main(:", "SyntaxError"),
        ("def main():\n    return {'r': float('nan')}", "the result is not JSON"),
        ("def main():\n    return {'r': '\\ud800'}", "the result is not JSON"),
        ("import os\ndef main():\n    os.write(1, b'{\"r\": 1e999}'); os._exit(0)", "not JSON"),
        ("import os\ndef main():\n    os.write(1, b'[' * 999999); os._exit(0)", "not JSON"),
    ],
)
def test_code_is_bounded_and_says_what_went_wrong(
    code_runner: Runner, source: str, reason: str
) -> None:
    node = dsl.code("c", source, {"r": "string"})
    code_runner.take(dsl.app(dsl.start(), node, dsl.end(r=["c", "r"])))
    data = code_runner.run()
    assert data["status"] == "failed"
    assert reason in data["error"]


@pytest.fixture(scope="module")
def code_runner(python: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.runner.process import running

    options = ("--allow-code", "--code-seconds", "1")
    with running(python, tmp_path_factory.mktemp("code"), *options) as found:
        yield found


def test_code_that_prints_still_gives_its_result(code_runner: Runner) -> None:
    source = "def main(a):\n    print('noise')\n    return {'r': a * 2}"
    node = dsl.code("c", source, {"r": "string"}, a=["start", "a"])
    code_runner.take(dsl.app(dsl.start(dsl.text("a")), node, dsl.end(r=["c", "r"])))
    assert code_runner.run(a="ab")["outputs"] == {"r": "abab"}


@pytest.mark.parametrize("node", [dsl.code("n", "x", {"r": "string"}), dsl.llm("n", "x")])
def test_what_is_switched_off_is_invalid_and_names_the_option(
    python: Any, tmp_path_factory: pytest.TempPathFactory, switched_off: Runner, node: Any
) -> None:
    verdict = switched_off.validate(dsl.app(dsl.start(), node, dsl.end())).json()
    assert verdict["valid"] is False
    assert "the option is --" in verdict["reasons"][0]


@pytest.fixture(scope="module")
def switched_off(python: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.runner.process import running

    with running(python, tmp_path_factory.mktemp("off")) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain", "plain"),
        ("the key abcd1234 is wrong", "the key *** is wrong"),
        ("GET https://u:p@host/path?token=x failed", "GET https://***@host/path?*** failed"),
        ("Authorization: Bearer abcdef.ghi", "Authorization: Bearer ***"),
        (
            'Traceback (most recent call last):\n  File "x", line 1\n    f()\nValueError: no',
            "ValueError: no",
        ),
        ("x" * 600, "x" * (LIMIT - 1) + "…"),
    ],
)
def test_texts_that_leave_are_cut_and_without_secrets(text: str, told: str) -> None:
    assert redact(text, ["abcd1234", "x1"]) == told
