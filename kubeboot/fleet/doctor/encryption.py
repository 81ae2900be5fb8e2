"""Whether Secrets are encrypted in etcd, where they are to be, and every API server can read them."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot import errors
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.kube import client
from kubeboot.pki import endpoint
from kubeboot.steps import haproxy
from kubeboot.steps.encryption import PATH
from kubeboot.steps.preflight import Finding

PREFIX = b"/registry/secrets/"
SEALED = b"k8s:enc:"
"""What an encrypted value begins with (k8s.io/apiserver, storage/value)."""
LOOKED_AT = 50
"""Of the Secrets that were written longest ago, and of the last ones."""
REWRITE = "kubectl get secrets -A -o json | kubectl replace -f -"

Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def encryption(patient: Patient) -> Iterable[Finding]:
    """Of a control plane, which has the key and may ask its own etcd. Who is away is told elsewhere."""
    if not (patient.control_plane and patient.spec.api_server.encrypt_secrets):
        return
    if patient.spec.etcd.external is None:
        with contextlib.suppress(errors.KubebootError):
            yield from in_clear(checkup_etcd.member(patient))
    admin = patient.see.read(ADMIN_CONF)
    for address, port in haproxy.known(patient.see) if admin else ():
        yield from _unread(admin or b"", endpoint.join(address, port))


def in_clear(ask: Ask) -> Iterable[Finding]:
    """Secrets that etcd holds as they are, by its gateway's answers."""
    rows = [row for order in ("ASCEND", "DESCEND") for row in _rows(ask, order)]
    bare = sorted({key for key, value in rows if not value.startswith(SEALED)})
    if bare:
        names = ", ".join(key.removeprefix(PREFIX).decode(errors="replace") for key in bare[:3])
        more = " and more" if len(bare) > 3 else ""
        yield Finding(
            "SecretsInClear",
            f"Secrets are unencrypted in etcd: {names}{more}",
            f"if the API servers are as kubeboot made them (see Drift), rewrite all Secrets: {REWRITE}",
        )


def _rows(ask: Ask, order: str) -> Iterable[tuple[bytes, bytes]]:
    end = PREFIX[:-1] + bytes([PREFIX[-1] + 1])
    question = {"key": _coded(PREFIX), "range_end": _coded(end), "limit": LOOKED_AT,
                "sort_target": "MOD", "sort_order": order}  # fmt: skip
    for row in ask("/v3/kv/range", question).get("kvs", ()):
        yield base64.b64decode(row["key"]), base64.b64decode(row.get("value", ""))


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unread(admin: bytes, where: str) -> Iterable[Finding]:
    """One API server, asked itself; what it cannot decrypt keeps it from listing any."""
    api = client.from_kubeconfig(admin, server=f"https://{where}")
    try:
        api.version()
    except errors.KubebootError:
        return
    try:
        api.list("v1", "Secret", "kube-system")
    except errors.KubebootError as error:
        yield Finding(
            f"Encryption-{where}",
            f"the API server at {where} cannot read Secrets: {error.message}",
            f"is {PATH} the same on all control planes (sha256sum)? Copy it from one that can, then run the "
            "command again that made that machine",
        )
