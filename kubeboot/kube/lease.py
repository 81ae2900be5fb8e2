"""The lock on etcd's members, for the whole cluster: a Lease, fenced by its resourceVersion.

Clocks are never compared: a lease has expired when it was seen unchanged for its whole duration.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from kubeboot import errors
from kubeboot.kube import rbac
from kubeboot.kube.api import Api, ApiError, Object

LEASE = ("coordination.k8s.io/v1", "Lease")
ETCD = "kubeboot-etcd-membership"
DURATION = 20.0
"""Seconds: longer than a change of etcd's members takes with every answer late."""
QUIET = 1.0
"""Seconds of waiting that nobody needs to hear of: that long a change takes."""
PATIENCE = 180.0
"""Seconds to wait for another holder's end."""


@dataclasses.dataclass(frozen=True)
class Wait:
    """How another holder's end is waited for: `patience` seconds at most.

    `tell` is told once for whom it is waited, and how long at most if nobody is there any more.
    """

    patience: float = PATIENCE
    tell: Callable[[str], None] = lambda text: None
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


PATIENTLY = Wait()


@contextlib.contextmanager
def held(api: Api, holder: str, wait: Wait = PATIENTLY) -> Iterator[None]:
    """Hold the lease; Occupied when another keeps it for too long.

    `holder` is a machine: what an earlier run of that machine holds is its own.
    """
    _acquire(api, holder, wait)
    try:
        yield
    finally:
        with contextlib.suppress(errors.KubebootError):
            _release(api, holder)


def _acquire(api: Api, holder: str, wait: Wait) -> None:
    began = wait.clock()
    seen, since, told = "", began, False
    while True:
        found = api.get(*LEASE, ETCD, rbac.SYSTEM)
        version = found["metadata"]["resourceVersion"] if found else ""
        if version != seen:
            seen, since = version, wait.clock()
        stale = wait.clock() - since > DURATION
        if (found is None or _holder(found) in ("", holder) or stale) and _take(api, holder, found):
            return
        if not told and wait.clock() - began > QUIET:
            wait.tell(_waiting(found or {}))
            told = True
        if wait.clock() - began > wait.patience:
            raise errors.Occupied(
                f"{_who(found or {})} is changing etcd's members, and has not finished",
                hint="run the same command again once that run has ended",
                reason="KB_LEASE",
            )
        wait.pause(0.1)


def _waiting(found: Object) -> str:
    return (
        f"waiting for {_who(found)}, which is changing etcd's members"
        f" (if that run has died, this one continues after {DURATION:.0f} s)"
    )


def _holder(lease: Object) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "")


def _who(lease: Object) -> str:
    """The holder, and since when by its own clock."""
    since = lease.get("spec", {}).get("acquireTime")
    return (_holder(lease) or "another machine") + (f" (since {since})" if since else "")


def _take(api: Api, holder: str, found: Object | None) -> bool:
    """False when someone else was faster."""
    stamp = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": int(DURATION),
        "acquireTime": stamp,
        "renewTime": stamp,
    }
    try:
        if found is None:
            meta: dict[str, Any] = {"name": ETCD, "namespace": rbac.SYSTEM}
            api.create({"apiVersion": LEASE[0], "kind": LEASE[1], "metadata": meta, "spec": spec})
        else:
            fence = {"resourceVersion": found["metadata"]["resourceVersion"]}
            api.patch_merge(*LEASE, ETCD, {"metadata": fence, "spec": spec}, rbac.SYSTEM)
    except ApiError as error:
        if error.status not in (404, 409):
            raise
        return False
    return True


def _release(api: Api, holder: str) -> None:
    found = api.get(*LEASE, ETCD, rbac.SYSTEM)
    if found is not None and _holder(found) == holder:
        fence = {"resourceVersion": found["metadata"]["resourceVersion"]}
        api.patch_merge(*LEASE, ETCD, {"metadata": fence, "spec": {"holderIdentity": ""}}, rbac.SYSTEM)
