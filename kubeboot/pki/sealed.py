"""Values of the Secret kubeadm-certs: AES-256-GCM with the certificate key, the nonce in front."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kubeboot import errors

NONCE = 12
_KEY = re.compile(r"[0-9a-f]{64}")

FILES: Mapping[str, str] = MappingProxyType(
    {
        file.replace("/", "-"): file
        for file in (
            "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key",
            "etcd/ca.crt", "etcd/ca.key", "sa.pub", "sa.key",
        )
    }
)  # fmt: skip
"""Key in the Secret → file below the pki directory."""

EXTERNAL = ("external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key")
"""With an etcd that runs elsewhere, instead of etcd's authority: by these names, wherever the files are."""

ENCRYPTION = "encryption.yaml"
"""What is kubeboot's own: how API servers encrypt Secrets. kubeadm's join passes over it."""


def shared(external: bool) -> tuple[str, ...]:
    """What control planes share, by file or by name; `external`: etcd runs elsewhere."""
    own = (file for file in FILES.values() if not (external and file.startswith("etcd/")))
    return (*own, *(EXTERNAL if external else ()))


def new_key() -> str:
    """A certificate key: 32 random bytes in hex."""
    return secrets.token_hex(32)


def parse_key(text: str) -> str:
    """A certificate key in lower case. The error never shows what was given."""
    found = text.strip().lower()
    if not _KEY.fullmatch(found):
        raise errors.UsageProblem(
            f"a certificate key is 64 hexadecimal digits; this one has {len(found)} characters",
            hint="`kubeboot certs upload` on a control plane prints one",
            reason="KB_CERTIFICATE_KEY",
        )
    return found


def seal(data: bytes, key: str) -> bytes:
    """Nonce and ciphertext, as kubeadm writes and reads them."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(bytes.fromhex(parse_key(key))).encrypt(nonce, data, None)


def unseal(data: bytes, key: str) -> bytes:
    """What was sealed; KubebootError when the key is another one or the bytes were changed."""
    cipher = AESGCM(bytes.fromhex(parse_key(key)))
    try:
        return cipher.decrypt(data[:NONCE], data[NONCE:], None)
    except (InvalidTag, ValueError):
        raise errors.KubebootError(
            "the control plane's certificates cannot be decrypted with this certificate key",
            hint="the key changes with every upload and ends after two hours; make a new one",
            reason="KB_CERTIFICATE_KEY",
        ) from None
