"""Authorities and certificates for tests, made at a fixed moment."""

from __future__ import annotations

import datetime

from kubeboot.pki import build, pem
from kubeboot.pki.table import Profile

AT = datetime.datetime(2026, 6, 1, 12, 0, tzinfo=datetime.UTC)


def authority(
    name: str = "kubernetes", algorithm: str = "ECDSA-P256", at: datetime.datetime = AT
) -> build.Pair:
    key = build.new_key(algorithm)
    return build.Pair(build.authority(name, key, days=3650, at=at), pem.encode_key(key))


def leaf(
    profile: Profile,
    signer: build.Pair,
    at: datetime.datetime = AT,
    days: int = 365,
    algorithm: str = "ECDSA-P256",
) -> build.Pair:
    key = build.new_key(algorithm)
    made = build.certificate(profile, key.public_key(), signer, days=days, at=at)
    return build.Pair(made, pem.encode_key(key))
