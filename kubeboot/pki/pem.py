"""PEM as client-go reads it: blocks of other kinds before and between are passed over."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----\r?\n?", re.DOTALL)


def blocks(data: bytes, kind: str) -> tuple[bytes, ...]:
    """Every block whose label ends in `kind`, as it stands in the file."""
    return tuple(m[0] for m in _BLOCK.finditer(data) if m[1].endswith(kind.encode()))


def certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of a file, leaf first; ValueError when one cannot be read, or there is none."""
    found = tuple(x509.load_pem_x509_certificate(block) for block in blocks(data, "CERTIFICATE"))
    if not found:
        raise ValueError("no certificate")
    return found


def private_key(data: bytes) -> PrivateKey:
    """The first private key of a file; ValueError when there is none that Kubernetes could use."""
    for block in blocks(data, "PRIVATE KEY"):
        try:
            key = serialization.load_pem_private_key(block, None)
        except TypeError:
            raise ValueError("the private key is encrypted") from None
        if isinstance(key, PrivateKey):
            return key
    raise ValueError("no RSA or ECDSA private key")


def public_keys(data: bytes) -> tuple[PublicKey, ...]:
    """Every RSA and ECDSA public key of a file."""
    keys = [serialization.load_pem_public_key(block) for block in blocks(data, "PUBLIC KEY")]
    return tuple(key for key in keys if isinstance(key, PublicKey))


def holds(data: bytes, key: PrivateKey) -> bool:
    """Whether the public half of `key` is among the public keys of a file."""
    try:
        return spki(key.public_key()) in map(spki, public_keys(data))
    except ValueError:
        return False


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """A CERTIFICATE block."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def encode_key(key: PrivateKey) -> bytes:
    """An EC PRIVATE KEY or RSA PRIVATE KEY block, as kubeadm writes them."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def encode_public(key: PublicKey) -> bytes:
    """A PUBLIC KEY block (PKIX), as in sa.pub."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER: what identifies a key, and what a CA pin is the digest of."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
