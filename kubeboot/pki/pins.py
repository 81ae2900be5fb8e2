"""Pins of an authority's public key, `sha256:<hex>`: how a joining machine knows the cluster for certain."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

from kubeboot import errors
from kubeboot.pki import pem

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def pin(certificate: bytes) -> str:
    """The pin of the first certificate (PEM): the digest of its public key, so a renewed CA keeps it."""
    key = pem.certificates(certificate)[0].public_key()
    return "sha256:" + hashlib.sha256(pem.spki(key)).hexdigest()  # type: ignore[arg-type]


def parse(text: str) -> str:
    """A pin in its canonical form (lower case)."""
    found = text.strip().lower()
    if not _PATTERN.fullmatch(found):
        raise errors.UsageProblem(
            f"{text!r} is not the hash of a CA certificate: it must be sha256: and 64 hexadecimal digits",
            hint="`kubeboot token create --print-join-command` on a control plane prints it",
            reason="KB_PIN_FORMAT",
        )
    return found


def is_pinned(certificate: bytes, pins: Iterable[str]) -> bool:
    """Whether the authority is one of those that were pinned; False for bytes that are no certificate."""
    try:
        found = pin(certificate)
    except ValueError:
        return False
    return any(hmac.compare_digest(found, parse(known)) for known in pins)
