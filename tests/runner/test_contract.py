"""The engine contract, operation by operation. Each answer is held to the document besides."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.runner import contract, dsl
from tests.runner.contract import NotInContract
from tests.runner.process import Runner, digest
from tests.runner.server import Server

GOOD = dsl.app(dsl.start(dsl.text("x")), dsl.end(told=["start", "x"]))
OTHER = dsl.app(dsl.start(dsl.text("x", required=False)), dsl.end(told=["start", "x"]))
BROKEN = dsl.app(dsl.start(), dsl.node("agent", "agent"), dsl.end())


def said(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_judge_that_lets_wrong_answers_pass_would_prove_nothing(runner: Runner) -> None:
    right = runner.admin.get("/engine/v1/info")
    wrong = httpx.Response(200, json={**right.json(), "contract": "v9"}, request=right.request)
    with pytest.raises(NotInContract, match="contract"):
        contract.check(wrong)
    with pytest.raises(NotInContract, match="may not answer 418"):
        contract.check(httpx.Response(418, request=right.request))


def test_every_operation_is_there(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    runner.called.clear()
    run = held("tour")
    for path in ("/livez", "/readyz", "/metrics"):
        assert runner.admin.get(path).status_code == 200
    runner.info()
    runner.activate(GOOD, None)
    runner.intake("Closed")
    runner.pause_all()
    runner.pause(run)
    server.open("tour")
    runner.paused(run)
    envelope = runner.envelope(run)
    assert runner.resume(envelope=envelope).status_code == 202
    runner.ended(run)
    runner.admin.post(f"/engine/v1/runs/{run}:abort", json={"reason": "it is over"})
    body = {"holder": "x", "sha256": envelope["sha256"]}
    assert said(runner.admin.post(f"/engine/v1/runs/{run}:handOver", json=body))[0] == 409
    assert runner.admin.get("/engine/v1/runs").json()["next"] is None
    tried = runner.admin.post("/engine/v1/runs", json={"inputs": {}})
    assert tried.json()["run"]["status"] == "succeeded", "a trial comes in while intake is closed"
    assert runner.called == set(contract.operations())


@pytest.mark.parametrize("token", [None, "Bearer another", "Basic YTpi"])
def test_without_the_token_nothing_is_told(runner: Runner, token: str | None) -> None:
    headers = {"Authorization": token} if token else {"Authorization": ""}
    assert said(runner.admin.get("/engine/v1/info", headers=headers)) == (401, "unauthorized")
    refused = runner.admin.put("/engine/v1/intake", json={}, headers=headers)
    assert said(refused) == (401, "unauthorized")
    assert runner.admin.get("/readyz", headers=headers).status_code in (200, 503)


def test_only_valid_revisions_become_active_and_only_in_the_place_of_the_one_that_is_known(
    runner: Runner,
) -> None:
    runner.take(GOOD)
    assert said(runner.activate(OTHER + " ", GOOD)) == (404, "revisionUnknown")
    assert runner.validate(OTHER, "v2").json() == {
        "valid": True,
        "contentDigest": digest(OTHER),
        "reasons": [],
    }
    refused = runner.activate(OTHER, BROKEN)
    assert said(refused) == (409, "activeDiffers")
    assert refused.json()["details"]["active"]["contentDigest"] == digest(GOOD)
    first = runner.activate(OTHER, GOOD).json()
    assert first["active"] == {"revision": "v2", "contentDigest": digest(OTHER)}
    assert first["previous"]["contentDigest"] == digest(GOOD)
    assert runner.activate(OTHER, GOOD).status_code == 200, "it is active already"
    ready = runner.admin.get("/readyz").json()
    assert ready["contentDigest"] == digest(OTHER)


def test_an_invalid_revision_says_why_and_changes_nothing(runner: Runner) -> None:
    runner.take(GOOD)
    verdict = runner.validate(BROKEN).json()
    assert verdict["valid"] is False
    assert "agent" in verdict["reasons"][0]
    refused = runner.activate(BROKEN, GOOD)
    assert said(refused) == (422, "invalidRevision")
    assert refused.json()["details"]["reasons"] == verdict["reasons"]
    known = runner.admin.get("/engine/v1/revisions").json()
    assert known["active"]["contentDigest"] == digest(GOOD)
    (told,) = [r for r in known["revisions"] if r["contentDigest"] == digest(BROKEN)]
    assert (told["state"], told["reason"]) == ("Invalid", verdict["reasons"][0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "YAML"),
        ("kind: app", "app"),
        (dsl.app(dsl.end()), "one start node"),
        (dsl.app(dsl.start(), dsl.node("t", "tool"), dsl.end()), "tool"),
        (dsl.app(dsl.start(), dsl.node("t", "template-transform"), dsl.end()), "template"),
    ],
)
def test_what_cannot_be_built_is_invalid(runner: Runner, text: str, reason: str) -> None:
    verdict = runner.validate(text).json()
    assert verdict["valid"] is False
    assert reason in verdict["reasons"][0]


def test_bytes_that_changed_on_their_way_are_not_the_revisions_fault(runner: Runner) -> None:
    refused = runner.validate(GOOD, contentDigest=digest(OTHER))
    assert said(refused) == (422, "digestMismatch")


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("PUT", "active", {"contentDigest": "sha256:1", "ifActive": None}),
        ("PUT", "active", {"contentDigest": digest(GOOD)}),
        ("PUT", "intake", {"state": "Ajar", "holder": "x"}),
        ("PUT", "intake", {"state": "Open", "holder": ""}),
        ("POST", "runs:pause", {}),
        ("POST", "runs:resume", {"holder": "x"}),
        ("POST", "runs", {"inputs": [1]}),
        ("POST", "revisions:validate", {"contentDigest": digest(GOOD)}),
    ],
)
def test_what_is_not_a_request_is_refused(
    runner: Runner, verb: str, path: str, body: dict[str, Any]
) -> None:
    refused = runner.admin.request(verb, f"/engine/v1/{path}", json=body)
    assert said(refused) == (400, "invalidRequest")


def test_a_body_without_end_is_cut_off(runner: Runner) -> None:
    refused = runner.validate("x" * (3 * 1024 * 1024))
    assert said(refused) == (413, "tooLarge")
    wide = runner.admin.put("/engine/v1/intake", content=b"[" * 100_000)
    assert said(wide) == (413, "tooLarge")


def test_intake_is_closed_as_long_as_one_holder_closes_it(runner: Runner) -> None:
    runner.take(OTHER)
    runner.intake("Closed", "a")
    assert runner.intake("Closed", "b") == {"state": "Closed", "holders": ["a", "b"]}
    assert runner.intake("Open", "a")["state"] == "Closed"
    assert runner.data.post("/v1/workflows/run", json={"inputs": {}}).status_code == 503
    assert runner.intake("Open", "b") == {"state": "Open", "holders": []}
    assert runner.run()["status"] == "succeeded"


def test_runs_are_listed_page_by_page(runner: Runner) -> None:
    runner.take(OTHER)
    begun = sorted(runner.begin() for _ in range(7))
    for run in begun:
        runner.ended(run)
    found, cursor = [], ""
    while cursor is not None:
        params = {"limit": "3", "cursor": cursor, "status": "succeeded,failed"}
        page = runner.admin.get("/engine/v1/runs", params=params).json()
        assert len(page["runs"]) <= 3
        found += [each["id"] for each in page["runs"]]
        cursor = page["next"]
    assert [each for each in found if each in begun] == begun
    nothing = {"contentDigest": digest("nothing")}
    assert runner.admin.get("/engine/v1/runs", params=nothing).json()["runs"] == []
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"status": "asleep"}):
        assert said(runner.admin.get("/engine/v1/runs", params=wrong))[0] == 400


def test_a_run_is_asked_for_by_its_own_name(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    run = held("asked")
    assert said(runner.admin.get("/engine/v1/runs/nobody")) == (404, "runUnknown")
    assert said(runner.admin.get(f"/engine/v1/runs/{run}/envelope")) == (409, "notPaused")
    assert said(runner.resume(id=run)) == (409, "notPaused")
    server.open("asked")
    runner.ended(run)
    assert said(runner.pause(run)) == (409, "alreadyFinished")
    assert said(runner.resume(id="nobody")) == (404, "runUnknown")


def test_an_aborted_run_stops_at_work_and_paused(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    first = held("abort")
    body = {"reason": "no longer wanted"}
    assert runner.admin.post(f"/engine/v1/runs/{first}:abort", json=body).status_code == 202
    assert runner.ended(first)["status"] == "stopped"
    assert runner.get(first)["error"] == "no longer wanted"
    second = held("abort-paused")
    runner.pause(second)
    server.open("abort-paused")
    runner.paused(second)
    assert runner.admin.post(f"/engine/v1/runs/{second}:abort", json=body).status_code == 200
    assert runner.get(second)["status"] == "stopped"


def test_revisions_are_forgotten_but_not_those_in_use(begin: Any, server: Server) -> None:
    def text(number: int) -> str:
        call = dsl.call("held", f"{server.url}/gate/kept")
        told = dsl.template("told", f"{number}")
        return dsl.app(dsl.start(), call, told, dsl.end(told=["told", "output"]))

    with begin("--keep-revisions", "2") as own:
        own.take(text(0))
        run = own.begin()
        own.at(run, "held")
        own.pause(run)
        for number in range(1, 6):
            own.take(text(number))
        server.open("kept")
        own.paused(run)
        known = own.admin.get("/engine/v1/revisions").json()["revisions"]
        assert [r["contentDigest"] for r in known if r["paused"]] == [digest(text(0))]
        assert len(known) == 4
        assert own.resume(id=run).status_code == 202
        assert own.ended(run)["outputs"] == {"told": "0"}


def test_metrics_tell_runs_by_revision_and_outcome(runner: Runner) -> None:
    runner.validate(GOOD, "v7")
    runner.take(GOOD)
    runner.run(x="1")
    told = runner.admin.get("/metrics").text
    for line in (
        'runs_total{revision="v7",status="succeeded"} 1.0',
        f'active_revision_info{{contentDigest="{digest(GOOD)}",revision="v7"}} 1.0',
        'http_requests_total{code="200",revision="v7",route="POST /v1/workflows/run"} 1.0',
    ):
        assert line in told
