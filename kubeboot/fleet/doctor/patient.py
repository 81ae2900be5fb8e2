"""What a checkup looks at: a machine, and the cluster as far as it sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.config import balancing
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet.status import Status
from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiRefused, ApiView, Object


@dataclasses.dataclass(frozen=True)
class Patient:
    """A machine and its cluster. `at_home`: the API answered when it was first asked."""

    name: str
    address: str
    spec: ClusterSpec
    see: HostView
    api: ApiView
    status: Status
    control_plane: bool = True

    @property
    def balancer(self) -> bool:
        """Whether it has haproxy."""
        return balancing.runs_haproxy(self.spec, "control_plane" if self.control_plane else "worker")

    @property
    def at_home(self) -> bool:
        return self.status.problem is None

    def known(self, kind: str, namespace: str | None = None, labels: str | None = None) -> Sequence[Object]:
        """Objects, as far as the API answers and lets this machine read them."""
        try:
            return self.api.list("v1", kind, namespace, labels) if self.at_home else ()
        except ApiRefused:
            return ()

    def nodes(self) -> Sequence[Object]:
        """All of them, or this machine's own where its certificate reads no other."""
        found = self.known("Node")
        own = self.api.get("v1", "Node", self.name) if self.at_home and not found else None
        return found or ((own,) if own else ())
