"""etcd's JSON gateway over mutual TLS: any live member answers for all of them."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from kubeboot import errors
from kubeboot.kube import dial
from kubeboot.kube.api import ApiUnavailable
from kubeboot.kube.etcd import CLIENT_PORT, EtcdRefused, EtcdUnavailable, Member
from kubeboot.kube.http import Session
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import build, endpoint, pem, table

ANSWER = 5.0
LOOK = 2.0


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who one is to etcd, and whom one believes (PEM)."""

    authority: bytes
    certificate: bytes = dataclasses.field(repr=False)
    key: bytes = dataclasses.field(repr=False)


def identity(authority: build.Pair, at: Callable[[], Any] = build.now) -> Identity:
    """A client certificate for the next day, signed by etcd's authority and kept in memory."""
    row = next(row for row in table.CERTIFICATES if row.name == "etcd-healthcheck-client")
    profile = table.Profile(row.common_name, usages=row.usages)
    key = build.new_key()
    made = build.certificate(profile, key.public_key(), authority, days=1, at=at())
    return Identity(authority.certificate, made, pem.encode_key(key))


def addresses_url(addresses: Iterable[str]) -> tuple[str, ...]:
    """The client URLs of members at these addresses."""
    return tuple(endpoint.url(address, CLIENT_PORT) for address in addresses)


class Client:
    """Members by whichever of them answers. `servers` are URLs to begin with; the members name the rest."""

    def __init__(
        self,
        who: Identity,
        servers: Sequence[str],
        lock: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        dialler: dial.Dialler = dial.direct,
        timeout_scale: float = 1.0,
    ) -> None:
        self._who = who
        self._scale = timeout_scale
        self._servers = tuple(servers)
        self._lock = lock
        self._dialler = dialler
        self._sessions: dict[str, Session] = {}

    def members(self) -> tuple[Member, ...]:
        return self._listed(linearizable=True)

    def known(self) -> tuple[Member, ...]:
        """The members as one of them knows them, also where there is no quorum to agree on it."""
        return self._listed(linearizable=False)

    def _listed(self, *, linearizable: bool) -> tuple[Member, ...]:
        found = self._ask("/v3/cluster/member/list", {"linearizable": linearizable})
        members = tuple(_member(entry) for entry in found.get("members", ()))
        known = [url for member in members if not member.learner for url in member.client_urls]
        self._servers = tuple(dict.fromkeys((*self._servers, *known)))
        return tuple(sorted(members, key=lambda member: member.peer_urls))

    def healthy(self, member: Member) -> str | None:
        if not member.client_urls:
            return f"{member.label} has not been started"
        try:
            found = self._post(member.client_urls[0], "/v3/maintenance/status", {}, LOOK)
        except errors.KubebootError as error:
            return error.message
        return None if found.get("leader", "0") != "0" else f"{member.label} has no leader"

    def status(self, server: str) -> Mapping[str, Any]:
        """What a member says of itself; ApiUnavailable when it does not answer."""
        return self._post(server, "/v3/maintenance/status", {}, LOOK)

    @contextlib.contextmanager
    def snapshot(self, server: str) -> Iterator[Iterator[bytes]]:
        """A member's own database as it is now, and the sha256 of it at its end. It needs no quorum."""
        headers = {"Content-Type": "application/json"}
        where = "/v3/maintenance/snapshot"
        with self._session_to(server).streaming(where, b"{}", headers, ANSWER * 6) as (status, chunks):
            if status != 200:
                raise EtcdRefused(f"etcd says: {status} to a snapshot")
            yield _blobs(chunks)

    def add_learner(self, peer_url: str) -> None:
        self._ask("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})

    def promote(self, member: Member) -> None:
        self._ask("/v3/cluster/member/promote", {"ID": member.id})

    def remove(self, member: Member) -> None:
        mine = frozenset(member.client_urls)
        self._ask("/v3/cluster/member/remove", {"ID": member.id}, last=mine)

    def exclusively(self) -> AbstractContextManager[None]:
        return self._lock()

    def close(self) -> None:
        """Drop every connection; the next request makes new ones."""
        for session in self._sessions.values():
            session.close()

    def _ask(
        self, path: str, data: Mapping[str, Any], last: frozenset[str] = frozenset()
    ) -> Mapping[str, Any]:
        """Of the first member that answers; those that do not answer are asked last from then on."""
        failures: list[str] = []
        for server in sorted(self._servers, key=lambda url: url in last):
            try:
                found = self._post(server, path, data, ANSWER)
            except ApiUnavailable as error:
                failures.append(error.message)
                self._servers = (*(s for s in self._servers if s != server), server)
            else:
                return found
        raise EtcdUnavailable(
            f"no member of etcd answers: {'; '.join(failures) or 'none is known'}",
            hint="see /var/log/pods/kube-system_etcd-* on a control plane for why etcd does not run there",
        )

    def _post(self, server: str, path: str, data: Mapping[str, Any], timeout: float) -> Mapping[str, Any]:
        body = json.dumps(data).encode()
        answer = self._session_to(server).request(
            "POST", path, body, {"Content-Type": "application/json"}, timeout
        )
        found = _object(answer.body)
        if answer.status == 200 and found is not None:
            return found
        found = found or {}
        said = str(found.get("message") or found.get("error") or answer.status)
        if answer.status in (503, 504) or "no leader" in said or "timed out" in said:
            raise ApiUnavailable(f"{server}: {said}")
        raise EtcdRefused(f"etcd says: {said}")

    def _session_to(self, server: str) -> Session:
        return self._sessions.get(server) or self._sessions.setdefault(server, self._session(server))

    def _session(self, server: str) -> Session:
        who = self._who
        where = Endpoint(server, who.authority, who.certificate, who.key, tls_server_name="localhost")
        return Session(where, self._dialler, self._scale)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _blobs(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The gateway streams one JSON object a line, with some of the bytes in base64."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_blob, filter(None, lines))
    if rest:
        yield _blob(rest)


def _blob(line: bytes) -> bytes:
    try:
        found = json.loads(line)
        return base64.b64decode(found["result"].get("blob", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EtcdRefused(f"etcd says: {line[:200].decode(errors='replace')}") from None


def _member(entry: Mapping[str, Any]) -> Member:
    return Member(
        id=str(entry["ID"]),
        name=str(entry.get("name", "")),
        peer_urls=tuple(entry.get("peerURLs", ())),
        client_urls=tuple(entry.get("clientURLs", ())),
        learner=bool(entry.get("isLearner", False)),
    )
