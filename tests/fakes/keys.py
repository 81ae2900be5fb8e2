"""SSH keys in OpenSSH's form, made without a process for each; and lines of known-hosts files."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

_FORM = serialization.PrivateFormat.OpenSSH


def make(path: Path, passphrase: str = "") -> None:
    """A fresh Ed25519 pair: the private half here, the public one beside it."""
    key = ed25519.Ed25519PrivateKey.generate()
    lock = serialization.NoEncryption() if not passphrase else _locked(passphrase)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, _FORM, lock))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + f" {path.name}\n".encode())


def _locked(passphrase: str) -> serialization.KeySerializationEncryption:
    return _FORM.encryption_builder().kdf_rounds(1).build(passphrase.encode())


def line(name: str, key: str = "A", kind: str = "ssh-ed25519") -> str:
    """As a known-hosts file says it; keys of a kind differ by a letter."""
    blob = len(kind).to_bytes(4, "big") + kind.encode() + b"\0\0\0\40" + key.encode() * 32
    return f"{name} {kind} {base64.b64encode(blob).decode()}"
