"""Checks by TLS and by the gRPC health protocol, against real pods."""

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import ready
from tests.unit.shell.certificates import NAME, Authorities

from belay.shell.resources import CONFIG_MAPS, SECRETS

Object = dict[str, Any]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.make(tmp_path_factory.mktemp("certificates"))


def by_tls(server_name: str = NAME, key: str = "believed") -> Object:
    tls = {"serverName": server_name, "caConfigMapKeyRef": {"name": "ca", "key": key}}
    http = {"port": 8443, "path": "/run", "scheme": "HTTPS", "tls": tls}
    return {"name": "secured", "http": http, "period": "200ms", "timeout": "10s"}


def by_grpc(service: str) -> Object:
    grpc = {"port": 9090, "service": service}
    return {"name": "healthy", "grpc": grpc, "period": "200ms", "timeout": "10s"}


async def test_a_certificate_and_a_grpc_server_prove_a_revision_and_hold_another(
    bench: Bench, begin: Begin, authorities: Authorities
) -> None:
    """What failed before the rollout, too, is no reason to go back: it is held."""
    pems = {name: authorities.pem(name) for name in ("believed", "other")}
    key = (Path(authorities.folder) / "good.key").read_text()
    secret = {"tls.crt": authorities.pem("good"), "tls.key": key}
    await bench.apply(CONFIG_MAPS, {"metadata": {"name": "ca"}, "data": pems})
    await bench.apply(SECRETS, {"metadata": {"name": "tls"}, "stringData": secret})
    flow = await begin(deploy={"tls": True}, checks=[by_tls(), by_grpc("shop.Triage")])
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Observing")
    got = {(e["check"], e["got"]) for e in found["status"]["rollout"]["evidence"]}
    assert got == {("secured", "200"), ("healthy", "SERVING")}
    await flow.at("Promoted")
    for number, (check, evidence) in enumerate(
        (
            (by_tls("elsewhere"), 'check "secured" got a certificate that is not for "elsewhere"'),
            (by_tls(key="other"), "signed by an authority that is not believed"),
            (by_grpc("shop.Resting"), 'check "healthy" got NOT_SERVING'),
        )
    ):
        flow.spec["verification"]["checks"] = [check]
        await bench.revise(f"v{number + 3}", note=f"number {number}")
        await flow.wish(f"v{number + 3}")
        assert evidence in ready(await flow.at("Held"))["message"]
