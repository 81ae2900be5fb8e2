"""How a joining machine finds its cluster, as kubeadm does, and never with less than a pinned authority.

1. Read cluster-info without verifying anything. 2. Its authority must be pinned. 3. Its signature must be the
token's. 4. Read it again over TLS that the pinned authority vouches for: the same bytes, or it is a forgery.
The token itself is only ever sent over such a connection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from kubeboot.kube import client, configmaps, dial, rbac
from kubeboot.kube import discovery_refusals as refusals
from kubeboot.kube.api import ApiRefused, ApiUnavailable
from kubeboot.kube.failures import DATES, NO_TLS, UNTRUSTED
from kubeboot.kube.http import Response, Session
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import jws, kubeconfig, pins, table
from kubeboot.pki.tokens import BootstrapToken

PATH = f"/api/v1/namespaces/{rbac.PUBLIC}/configmaps/{configmaps.INFO}"
PATIENCE = 2.0
"""Seconds for one answer."""
INSIST = 3.0
"""Seconds: a load balancer between two API servers refuses for a moment; a wrong address stays wrong."""
SIGNED_WITHIN = 60.0
"""Seconds that a token which the cluster accepts may wait for its signature."""
STALE = 2.0
"""Seconds that a signature may lag behind a change of cluster-info."""

_BUSY = range(500, 600)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Discovery:
    """One search: where, by which token and pins, from where, and with what patience."""

    address: str
    token: BootstrapToken
    pins: Sequence[str]
    dialler: dial.Dialler = dataclasses.field(default=dial.direct, repr=False)
    pause: Callable[[float], None] = dataclasses.field(default=time.sleep, repr=False)
    clock: Callable[[], float] = dataclasses.field(default=time.monotonic, repr=False)
    timeout_scale: float = 1.0

    def session(self, authority: bytes = b"", token: str = "") -> Session:
        """A connection to the address: with an authority verified, without one not at all."""
        endpoint = Endpoint(
            f"https://{self.address}",
            authority,
            token=token,
            tls_server_name=table.SERVER_NAME,
            insecure=not authority,
        )
        return Session(endpoint, self.dialler, self.timeout_scale)


def discover(search: Discovery) -> tuple[client.Client, bytes]:
    """A client that has the token and trusts the cluster's authority (PEM), which is the other value."""
    found = _proven(search)
    again = _read(search, found.trusted)
    if again.get(configmaps.INFO_KEY) != found.text:
        raise refusals.changed(search.address)
    _authenticate(search, found.trusted)
    return client.Client(search.session(found.bundle, search.token.text)), found.bundle


@dataclasses.dataclass(frozen=True)
class _Found:
    """A cluster-info: its text, the authorities in it, and those of them that were pinned."""

    text: str
    bundle: bytes
    trusted: bytes


def _proven(search: Discovery) -> _Found:
    """A cluster-info signed by the token. A token that the cluster refuses is told at once."""
    began, known = search.clock(), False
    while True:
        info = _read(search)
        found = _found(search, info)
        signature = info.get(jws.KEY_PREFIX + search.token.id)
        if signature is not None and jws.verify(signature, found.text, search.token):
            return found
        if signature is None and not known:
            _authenticate(search, found.trusted)
            known = True
        waited = search.clock() - began
        if signature is None and waited > SIGNED_WITHIN * search.timeout_scale:
            raise refusals.unsigned(search.address, SIGNED_WITHIN * search.timeout_scale)
        if signature is not None and waited > STALE * search.timeout_scale:
            raise refusals.invalid(search.address, search.token)
        search.pause(0.5)


def _found(search: Discovery, info: dict[str, str]) -> _Found:
    text = info.get(configmaps.INFO_KEY, "")
    bundle = _authority(search, text)
    return _Found(text, bundle, _pinned(search, bundle))


def _read(search: Discovery, authority: bytes = b"") -> dict[str, str]:
    """The data of cluster-info."""
    with contextlib.closing(search.session(authority)) as session:
        answer = _answer(search, session)
    found = _json(answer.body)
    if answer.status == 200 and found.get("kind") == "ConfigMap":
        return _texts(found.get("data"))
    if found.get("kind") != "Status":
        why = f"it answers {answer.status} to a question for cluster-info"
        raise refusals.not_kubernetes(search.address, why)
    if answer.status == 404:
        raise refusals.without_cluster_info(search.address)
    raise refusals.forbidden(search.address, str(found.get("message")))


def _texts(data: object) -> dict[str, str]:
    """A ConfigMap's data; who answers is not believed yet, so that it may be anything."""
    rows = data.items() if isinstance(data, dict) else ()
    return {str(key): value for key, value in rows if isinstance(value, str)}


def _answer(search: Discovery, session: Session) -> Response:
    began = search.clock()
    while True:
        try:
            answer = session.request("GET", PATH, timeout=PATIENCE)
            if answer.status not in _BUSY:
                return answer
            why = f"it is not ready ({answer.status})"
        except ApiUnavailable as error:
            if error.reason == DATES:
                raise
            if error.reason in (NO_TLS, UNTRUSTED):
                raise refusals.distrusted(search.address, error) from None
            why = error.message.partition(" does not answer: ")[2] or error.message
        if search.clock() - began >= INSIST * search.timeout_scale:
            raise refusals.unreachable(search.address, why)
        search.pause(1.0)


def _authority(search: Discovery, text: str) -> bytes:
    try:
        found = kubeconfig.decode(text).authority
    except ValueError:
        found = b""
    if not _PEM.search(found):
        raise refusals.without_authority(search.address)
    return found


def _pinned(search: Discovery, bundle: bytes) -> bytes:
    """Those authorities of the bundle that were pinned; the others are trusted on their word alone."""
    every = _PEM.findall(bundle)
    trusted = b"".join(one for one in every if pins.is_pinned(one, search.pins))
    if trusted:
        return trusted
    raise refusals.not_pinned(search.address, search.pins, map(_pin, every))


def _pin(certificate: bytes) -> str:
    try:
        return pins.pin(certificate)
    except ValueError:
        return "something unreadable"


def _authenticate(search: Discovery, trusted: bytes) -> None:
    """Ask, over verified TLS, whether the cluster knows the token."""
    try:
        with contextlib.closing(client.Client(search.session(trusted, search.token.text))) as api:
            api.version()
    except ApiRefused as error:
        if error.status == 401:
            raise refusals.unknown(search.address, search.token) from None
    except ApiUnavailable as error:
        raise refusals.distrusted(search.address, error) if error.reason == UNTRUSTED else error from None


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
