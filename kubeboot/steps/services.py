"""A Service with an address of its own, also where a run died while the API server was making it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from kubeboot.engine.step import Ref, Target
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiError, Object
from kubeboot.steps import objects

ADDRESS = ("networking.k8s.io/v1", "IPAddress")
_INVALID = 422


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureService(objects.EnsureObject):
    """The API server notes a Service's address before it stores the Service.

    A request that was cut in between leaves the address, as that of a Service that is not there. The API
    server takes it back after a minute (its registry's ipallocator/controller); the rerun is here before.
    """

    def apply(self, do: Target, vals: Values) -> None:
        try:
            super().apply(do, vals)
        except ApiError as error:
            if error.status != _INVALID or not _taken_back(do, self.obj):
                raise
            super().apply(do, vals)


def ensure(obj: Object, room: str, after: Iterable[Ref] = ()) -> objects.EnsureObject:
    """The step for a Service."""
    return objects.ensure(obj, room, after, EnsureService)


def _taken_back(do: Target, service: Object) -> bool:
    """Whether its address was left to it by a request that was cut, and is free now."""
    address, meta = service["spec"].get("clusterIP"), service["metadata"]
    left = do.see.api.get(*ADDRESS, address) if address else None
    if left is None or do.see.api.get(*objects.address(service)) is not None:
        return False
    of = left["spec"]["parentRef"]
    mine = (of["resource"], of["namespace"], of["name"]) == ("services", meta["namespace"], meta["name"])
    return mine and do.api.delete(*ADDRESS, address)
