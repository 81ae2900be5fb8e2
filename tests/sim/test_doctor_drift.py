"""What doctor calls drift: what a rerun would change, by what the rerun would know."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import doctor
from kubeboot.host.facts import Facts
from kubeboot.kube.facts import ClusterFacts
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost


class Api(FakeApi):
    def clock(self) -> float | None:
        return None


def _plane(name: str, address: str) -> dict[str, Any]:
    labels = {"node-role.kubernetes.io/control-plane": ""}
    addresses = [{"type": "InternalIP", "address": address}]
    return {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "status": {"addresses": addresses},
    }  # fmt: skip


def test_a_dead_control_plane_is_known_to_it_as_to_the_rerun(monkeypatch: pytest.MonkeyPatch) -> None:
    api, planned = Api(), []
    for name, address in (("cp-1", "192.0.2.11"), ("cp-2", "192.0.2.12")):
        api.apply(_plane(name, address))
    cluster = ClusterFacts(b"", ClusterSpec(), "", (("192.0.2.12", 6443),), "v1.37.1")
    node = NodeSettings("cp-2", "192.0.2.12", "control_plane")
    home = doctor._Home(FakeHost("cp-2"), Facts("cp-2"), api, ClusterSpec(), node, cluster, "join")  # type: ignore[arg-type]
    monkeypatch.setattr(doctor.here, "source", lambda *given, **more: None)
    monkeypatch.setattr(doctor.shared, "on_disk", lambda see, external: {})
    monkeypatch.setattr(
        doctor.control_plane_plan, "plan", lambda spec, node, source, heard, given: planned.append(heard)
    )
    doctor._plan(home, cluster)
    assert [known.silent for known in planned] == [frozenset({"192.0.2.11"})]
