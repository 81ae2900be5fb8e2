"""A kubelet's CertificateSigningRequest as data, and what the cluster has said of one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from kubeboot.kube.api import Object
from kubeboot.pki import build, pem, table

API = ("certificates.k8s.io/v1", "CertificateSigningRequest")
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
USAGES = ("digital signature", "client auth")


def request_name(profile: table.Profile, key: pem.PrivateKey) -> str:
    """The name of the request for this key and subject."""
    who = "\n".join((profile.common_name, *profile.organizations)).encode()
    return "node-csr-" + hashlib.sha256(who + pem.spki(key.public_key())).hexdigest()[:40]


def request(profile: table.Profile, key: pem.PrivateKey, days: int) -> dict[str, Any]:
    """The CertificateSigningRequest that the cluster's signer for kubelets approves by itself."""
    return {
        "apiVersion": API[0],
        "kind": API[1],
        "metadata": {"name": request_name(profile, key)},
        "spec": {
            "request": base64.b64encode(build.request(profile, key)).decode(),
            "signerName": SIGNER,
            "usages": list(USAGES),
            "expirationSeconds": days * 86400,
        },
    }


def refusal(found: Object) -> str | None:
    """Why the cluster will never sign it, if it has said so."""
    for condition in conditions(found):
        if condition.get("type") in ("Denied", "Failed"):
            return f"{condition['type'].lower()}: {condition.get('message') or condition.get('reason', '')}"
    return None


def certificate(found: Object) -> bytes | None:
    """The issued certificate, once there is one."""
    text = found.get("status", {}).get("certificate")
    return base64.b64decode(text) if text else None


def conditions(found: Object) -> list[Mapping[str, Any]]:
    """What the cluster has said of it, oldest first."""
    return list(found.get("status", {}).get("conditions") or ())
