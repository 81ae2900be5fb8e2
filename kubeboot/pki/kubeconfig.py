"""Kubeconfigs: one cluster, one user, one context; as bytes, and back."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kubeboot import render
from kubeboot.pki import pem

NOTHING = "nothing"
_OTHERS = ("exec", "auth-provider", "username")
"""Ways to be someone that need another program, or that API servers do not know any more."""


@dataclasses.dataclass(frozen=True)
class Kubeconfig:
    """What the current context of a kubeconfig says; certificates and keys in PEM.

    The credentials are a certificate and key inside (`certificate`, `key`), as files, a token or its file,
    or nothing.
    """

    cluster: str
    server: str
    authority: bytes
    user: str = ""
    certificate: bytes = b""
    key: bytes = dataclasses.field(default=b"", repr=False)
    certificate_file: str = ""
    key_file: str = ""
    token: str = dataclasses.field(default="", repr=False)
    token_file: str = ""
    tls_server_name: str = ""

    @property
    def context(self) -> str:
        """The context's name, as kubeadm makes it."""
        return f"{self.user}@{self.cluster}" if self.user else ""


def encode(config: Kubeconfig) -> bytes:
    """A kubeconfig file; without a user it names a cluster only, as in cluster-info."""
    user = _user(config)
    context = {"cluster": config.cluster, "user": config.user}
    data: dict[str, Any] = {
        "apiVersion": "v1",
        "clusters": [{"cluster": _cluster(config), "name": config.cluster if config.user else ""}],
        "contexts": [{"context": context, "name": config.context}] if config.user else [],
        "current-context": config.context,
        "kind": "Config",
        "users": [{"name": config.user, "user": user}] if config.user else [],
    }
    return render.dump(data).encode()


def decode(data: bytes | str) -> Kubeconfig:
    """The current context of a kubeconfig, or its only cluster where there is none; else ValueError."""
    try:
        found = render.load_foreign(data)
        context = _context(found)
        cluster = _named(found, "clusters", "cluster", context.get("cluster"))
        user = _named(found, "users", "user", context["user"]) if context.get("user") else {}
        other = _unfollowed(cluster, user)
        config = _kubeconfig(context, cluster, user)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise ValueError("not a kubeconfig with a current context") from None
    if other:
        raise ValueError(f"a kubeconfig with `{other}`, which kubeboot does not follow")
    return config


def differences(found: Kubeconfig, wanted: Kubeconfig) -> tuple[str, ...]:
    """How a kubeconfig leads elsewhere than it should, as predicates; not what is wrong inside it."""
    told = (
        ("points at {} instead of {}", found.server, wanted.server),
        ("verifies its server as {} instead of {}", found.tls_server_name, wanted.tls_server_name),
        ("reads its certificate from {} instead of {}", found.certificate_file, wanted.certificate_file),
        ("reads its key from {} instead of {}", found.key_file, wanted.key_file),
    )
    trust = () if _trusts(found.authority, wanted.authority) else ("trusts another authority",)
    return (
        *(text.format(has or NOTHING, wants or NOTHING) for text, has, wants in told if has != wants),
        *trust,
    )


def _trusts(found: bytes, wanted: bytes) -> bool:
    try:
        return set(pem.certificates(wanted)) <= set(pem.certificates(found))
    except ValueError:
        return False


def _cluster(config: Kubeconfig) -> dict[str, str]:
    named = {"tls-server-name": config.tls_server_name} if config.tls_server_name else {}
    return {"certificate-authority-data": _text(config.authority), "server": config.server, **named}


def _user(config: Kubeconfig) -> dict[str, str]:
    fields = {
        "client-certificate": config.certificate_file,
        "client-certificate-data": _text(config.certificate),
        "client-key": config.key_file,
        "client-key-data": _text(config.key),
        "token": config.token,
        "tokenFile": config.token_file,
    }
    return {name: value for name, value in fields.items() if value}


def _kubeconfig(
    context: Mapping[str, Any], cluster: Mapping[str, Any], user: Mapping[str, Any]
) -> Kubeconfig:
    return Kubeconfig(
        cluster=str(context.get("cluster") or ""),
        server=str(cluster["server"]),
        authority=_bytes(cluster.get("certificate-authority-data")),
        user=str(context.get("user") or ""),
        certificate=_bytes(user.get("client-certificate-data")),
        key=_bytes(user.get("client-key-data")),
        certificate_file=str(user.get("client-certificate") or ""),
        key_file=str(user.get("client-key") or ""),
        token=str(user.get("token") or ""),
        token_file=str(user.get("tokenFile") or ""),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
    )


def _unfollowed(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    """The first field that says whom to trust, or who one is, in a way that is not followed here."""
    by_file = cluster.get("certificate-authority") and not cluster.get("certificate-authority-data")
    names = (*(name for name in _OTHERS if user.get(name)), *(("certificate-authority",) if by_file else ()))
    return next(iter(names), "")


def _context(found: Mapping[str, Any]) -> Mapping[str, Any]:
    if not found.get("current-context") and not found.get("contexts"):
        return {}
    context: Mapping[str, Any] = _named(found, "contexts", "context", found["current-context"])
    return context


def _named(found: Mapping[str, Any], table: str, field: str, name: str | None) -> Mapping[str, Any]:
    rows: Sequence[Mapping[str, Any]] = found[table]
    row = next(row for row in rows if name is None or row["name"] == name)
    value: Mapping[str, Any] = row[field]
    return value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)
