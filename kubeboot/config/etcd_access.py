"""What an etcd machine hands out in a file: how control planes get in, or how one more machine joins it.

Both hold private keys: the files are written for root alone, and given by path, never on a command line.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from kubeboot import errors, render
from kubeboot.config import names
from kubeboot.config.spec import API_VERSION, ClusterSpec
from kubeboot.pki import inspect

ACCESS, INVITATION = "EtcdAccess", "EtcdInvitation"
_SHARED = ("kubernetes_version", "etcd", "certificates", "patches")
"""What etcd's machines have alike."""


@dataclasses.dataclass(frozen=True)
class Access:
    """The members' client URLs and who one is to them (PEM)."""

    endpoints: tuple[str, ...]
    authority: bytes
    certificate: bytes
    key: bytes = dataclasses.field(repr=False)

    @property
    def files(self) -> tuple[bytes, bytes, bytes]:
        """In the order of `pki.sealed.EXTERNAL`."""
        return self.authority, self.certificate, self.key


@dataclasses.dataclass(frozen=True)
class Invitation:
    """The same with etcd's authority itself, and what its machines have alike."""

    endpoints: tuple[str, ...]
    authority: bytes
    key: bytes = dataclasses.field(repr=False)
    spec: ClusterSpec


def encode(found: Access | Invitation) -> bytes:
    """As a file."""
    texts = {"authority": found.authority.decode(), "endpoints": list(found.endpoints)}
    secret = {"key": found.key.decode()}
    if isinstance(found, Access):
        return _dump(ACCESS, {**texts, "certificate": found.certificate.decode(), **secret})
    return _dump(INVITATION, {**texts, **secret, "cluster": shared(found.spec)})


def _dump(kind: str, fields: Mapping[str, Any]) -> bytes:
    return render.dump({"apiVersion": API_VERSION, "kind": kind, **fields}).encode()


def access(data: bytes, source: str) -> Access:
    """ConfigInvalid (KB_ETCD_FILE) when the file is something else."""
    found = _fields(data, source, ACCESS, ("authority", "certificate", "key"))
    return Access(
        tuple(found["endpoints"]),
        found["authority"].encode(),
        found["certificate"].encode(),
        found["key"].encode(),
    )


def invitation(data: bytes, source: str) -> Invitation:
    """ConfigInvalid (KB_ETCD_FILE) when the file is something else."""
    found = _fields(data, source, INVITATION, ("authority", "key"))
    return Invitation(
        tuple(found["endpoints"]),
        found["authority"].encode(),
        found["key"].encode(),
        spec(found.get("cluster"), source),
    )


def usable(found: Invitation, source: str, at: datetime.datetime) -> Invitation:
    """The invitation, if a member can be made with it; else ConfigInvalid (KB_ETCD_FILE)."""
    wrong = [f"its authority {p}" for p in inspect.authority_problems(found.authority, found.key, at=at)]
    for url in found.endpoints:
        try:
            names.split_endpoint(url.removeprefix("https://"))
        except ValueError as error:
            wrong.append(f"its endpoint `{url}` {error}")
    if wrong:
        raise _refused(source, f"cannot be used: {'; '.join(wrong)}", {"kind": INVITATION})
    return found


def _fields(data: bytes, source: str, kind: str, texts: Iterable[str]) -> Mapping[str, Any]:
    try:
        found = render.load_foreign(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or (found.get("apiVersion"), found.get("kind")) != (API_VERSION, kind):
        raise _refused(source, f"is not what `kubeboot etcd export` writes ({kind})", found)
    endpoints = found.get("endpoints")
    wrong = [name for name in texts if not isinstance(found.get(name), str)]
    listed = isinstance(endpoints, list) and all(isinstance(url, str) for url in endpoints) and endpoints
    if wrong or not listed:
        raise _refused(source, f"lacks {', '.join(wrong) or 'endpoints'}", found)
    return found


def _refused(source: str, why: str, found: object) -> errors.ConfigInvalid:
    kind = found.get("kind") if isinstance(found, dict) else None
    wants = {ACCESS: "--for members", INVITATION: "--for control-planes"}.get(str(kind), "")
    hint = f"run it again on an etcd machine: kubeboot etcd export {wants} FILE".replace("  ", " ")
    return errors.ConfigInvalid(f"{source} {why}", hint=hint, reason="KB_ETCD_FILE")


def shared(spec: ClusterSpec) -> dict[str, Any]:
    """What etcd's machines have alike, as a mapping."""
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(_SHARED))


def spec(data: object, source: str) -> ClusterSpec:
    """The inverse of `shared`; ConfigInvalid when this version does not understand it."""
    try:
        return ClusterSpec.model_validate_json(json.dumps(data or {}), by_alias=True, by_name=False)
    except (pydantic.ValidationError, TypeError) as error:
        raise errors.ConfigInvalid(
            f"this kubeboot does not understand {source}: {str(error).splitlines()[0]}",
            hint="use the version of kubeboot that the other etcd machines have",
            reason="KB_ETCD_FILE",
        ) from None


def joined(here: ClusterSpec, cluster: ClusterSpec) -> ClusterSpec:
    """What etcd's machines have alike, with what is particular to this one."""
    return cluster.model_copy(
        update={
            "artifacts": here.artifacts,
            "node": here.node,
            "containerd": here.containerd,
            "open_firewall": here.open_firewall,
        }
    )
