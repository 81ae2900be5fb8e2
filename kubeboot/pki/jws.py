"""The detached signature (JWS, HS256) by which cluster-info proves that it knows a bootstrap token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from kubeboot.pki.tokens import BootstrapToken

KEY_PREFIX = "jws-kubeconfig-"
"""In ConfigMap kube-public/cluster-info, followed by the token's id."""


def sign(content: str, token: BootstrapToken) -> str:
    """`header..signature` over the content, byte for byte what the controller manager makes."""
    fields = {"alg": "HS256", "kid": token.id}
    header = _encode(json.dumps(fields, separators=(",", ":")).encode())
    return f"{header}..{_encode(_mac(header, content, token))}"


def verify(signature: str, content: str, token: BootstrapToken) -> bool:
    """Whether who signed this content knows the token's secret."""
    header, dots, mac = signature.partition("..")
    try:
        fields = json.loads(_decode(header))
        given = _decode(mac)
    except (ValueError, binascii.Error):
        return False
    named = isinstance(fields, dict) and (fields.get("alg"), fields.get("kid")) == ("HS256", token.id)
    return bool(dots) and named and hmac.compare_digest(given, _mac(header, content, token))


def _mac(header: str, content: str, token: BootstrapToken) -> bytes:
    message = f"{header}.{_encode(content.encode())}".encode()
    return hmac.new(token.secret.encode(), message, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    data = text.encode("ascii")
    return base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
