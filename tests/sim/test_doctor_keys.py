"""doctor on the keys that API servers share: for Secrets in etcd, and for ServiceAccounts' tokens."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kubeboot.config.components import ApiServer
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet.doctor import encryption as checkup_encryption
from kubeboot.fleet.doctor import signing
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.kube import client
from kubeboot.kube.api import ApiError
from kubeboot.kube.http import Response
from kubeboot.pki import kubeconfig
from kubeboot.steps import haproxy
from tests.fakes import tls
from tests.sim.doctor_support import host_of, well


def _stored(*values: bytes) -> Callable[[str, Any], dict[str, Any]]:
    """etcd's answers: Secrets s0, s1 … with these values, the last ones with their order turned round."""

    def ask(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert (path, base64.b64decode(body["range_end"])) == ("/v3/kv/range", b"/registry/secrets0")
        rows = [
            {"key": base64.b64encode(b"/registry/secrets/a/s%d" % n), "value": base64.b64encode(value)}
            for n, value in enumerate(values)
        ]
        found = rows if body["sort_order"] == "ASCEND" else rows[::-1]
        return {"kvs": found[: body["limit"]]}

    return ask


def test_a_secret_in_clear_is_found_among_the_oldest_and_the_newest() -> None:
    sealed, clear = b"k8s:enc:secretbox:v1:key1:x", b"k8s\x00\n\x0c"
    assert list(checkup_encryption.in_clear(_stored(*[sealed] * 200))) == []
    for values in ([clear, *[sealed] * 199], [*[sealed] * 199, clear]):
        [said] = checkup_encryption.in_clear(_stored(*values))
        assert (said.name, said.level) == ("SecretsInClear", "error") and "a/s" in said.message
    [said] = checkup_encryption.in_clear(_stored(*[clear] * 9))
    assert said.message.endswith("a/s0, a/s1, a/s2 and more")


def encrypted() -> Patient:
    """A control plane that knows two API servers, and has encrypted Secrets."""
    patient = dataclasses.replace(well(), spec=ClusterSpec(api_server=ApiServer(encrypt_secrets=True)))
    own = kubeconfig.Kubeconfig("k", "https://192.0.2.11:6443", tls.authority().certificate, token="t")
    host_of(patient).write(ADMIN_CONF, kubeconfig.encode(own))
    lines = "".join(f"    server {a} {a}\n" for a in ("192.0.2.11:6443", "192.0.2.12:6443"))
    host_of(patient).write(haproxy.CONFIG, lines.encode())
    return patient


def test_an_api_server_that_cannot_read_secrets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(self: client.Client, *what: object) -> None:
        if "192.0.2.12" in self.server:
            raise ApiError("unable to transform key: no matching prefix found", status=500)

    monkeypatch.setattr(client.Client, "version", lambda self: "v1.37.1")
    monkeypatch.setattr(client.Client, "list", listed)
    [said] = checkup_encryption.encryption(encrypted())
    assert said.name == "Encryption-192.0.2.12:6443" and "no matching prefix" in said.message
    assert list(checkup_encryption.encryption(well())) == []
    assert list(checkup_encryption.encryption(dataclasses.replace(encrypted(), control_plane=False))) == []


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ((("a",), ("a",)), []),
        ((("a", "b"), ("b",)), []),
        ((("a",), ("b",)), ["ServiceAccountKeys-192.0.2.12:6443"]),
        ((("a",), None), []),
    ],
)
def test_an_api_server_with_another_key_for_service_accounts_is_named(
    keys: tuple[tuple[str, ...] | None, ...], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: client.Client, method: str, path: str) -> Response:
        assert (method, path) == ("GET", "/openid/v1/jwks")
        found = keys["192.0.2.12" in self.server]
        return Response(200, json.dumps({"keys": [{"kid": kid} for kid in found or ()]}).encode())

    def ready(self: client.Client) -> str | None:
        return "connection refused" if keys["192.0.2.12" in self.server] is None else None

    monkeypatch.setattr(client.Client, "_ask", ask)
    monkeypatch.setattr(client.Client, "ready", ready)
    assert [finding.name for finding in signing.signing(encrypted())] == names
    assert list(signing.signing(dataclasses.replace(encrypted(), control_plane=False))) == []
