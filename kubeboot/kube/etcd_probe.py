"""What a member of an etcd says of itself, and whose data it holds: a look from outside that changes nothing.

Version and health are plain HTTP and answered to anybody whom TLS lets in. The rest is etcd's JSON gateway,
which may be switched off, or refuse where etcd has users.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from kubeboot import errors
from kubeboot.kube import dial
from kubeboot.kube.etcd_client import Identity
from kubeboot.kube.http import Session
from kubeboot.kube.tls import Endpoint

WITHIN = 3.0
_INFO = "configmaps/kube-public/cluster-info"
_AUTHORITY = b"certificate-authority-data:"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A member. `problem`: why it does not answer, or is not healthy; `cluster`: its id, if it is told."""

    server: str
    problem: str = ""
    version: str = ""
    cluster: str = ""


@dataclasses.dataclass(frozen=True)
class Content:
    """`known`: the data could be looked at. `authority`: a cluster's CA that is in them, as base64."""

    known: bool = False
    empty: bool = False
    authority: bytes = b""


def look(who: Identity, server: str, dialler: dial.Dialler = dial.direct) -> Seen:
    """Ask one member; whatever goes wrong is in the answer."""
    session = _session(who, server, dialler)
    try:
        version = str(_get(session, "/version").get("etcdserver", ""))
        health = _get(session, "/health")
    except errors.KubebootError as error:
        return Seen(server, error.message)
    finally:
        session.close()
    said = "" if str(health.get("health")).lower() == "true" else f"is not healthy: {health.get('reason')}"
    return Seen(server, said, version, _cluster(who, server, dialler))


def content(who: Identity, server: str, prefix: str, dialler: dial.Dialler = dial.direct) -> Content:
    """Whose data lie below a prefix, as far as etcd tells."""
    session = _session(who, server, dialler)
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    try:
        first = _post(session, "/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(end), "limit": "1"})
        info = _post(session, "/v3/kv/range", {"key": _b64(f"{prefix}{_INFO}")})
    except errors.KubebootError:
        return Content()
    finally:
        session.close()
    value = next((base64.b64decode(found.get("value", "")) for found in info.get("kvs", ())), b"")
    after = value.partition(_AUTHORITY)[2].split()
    return Content(True, not first.get("kvs"), after[0] if after else b"")


def _cluster(who: Identity, server: str, dialler: dial.Dialler) -> str:
    session = _session(who, server, dialler)
    try:
        return str(_post(session, "/v3/maintenance/status", {}).get("header", {}).get("cluster_id", ""))
    except errors.KubebootError:
        return ""
    finally:
        session.close()


def _session(who: Identity, server: str, dialler: dial.Dialler) -> Session:
    return Session(Endpoint(server, who.authority, who.certificate, who.key), dialler)


def _get(session: Session, path: str) -> Mapping[str, Any]:
    return _object(session, path, session.request("GET", path, timeout=WITHIN).body)


def _post(session: Session, path: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    answer = session.request("POST", path, json.dumps(data).encode(), timeout=WITHIN)
    if answer.status != 200:
        raise errors.KubebootError(f"{session.endpoint.server}{path} answers {answer.status}")
    return _object(session, path, answer.body)


def _object(session: Session, path: str, body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise errors.KubebootError(f"{session.endpoint.server}{path} does not answer as etcd does")
    return found


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
