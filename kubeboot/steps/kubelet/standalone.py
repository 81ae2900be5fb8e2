"""A kubelet that belongs to no cluster: it runs its machine's static pods, and nobody talks to it.

For machines that are no Nodes: it has no credentials, registers nothing, and opens no port to others.
"""

from __future__ import annotations

from typing import Any

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Source
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Ref, Step
from kubeboot.steps import artifacts, basic, kubelet
from kubeboot.steps.kubelet.settings import RUNTIME_ENDPOINT
from kubeboot.steps.static_pod import MANIFESTS

DROP_IN = f"{kubelet.UNIT_FILE}.d/10-kubeboot-standalone.conf"


def config(node: NodeSettings) -> dict[str, Any]:
    """Its KubeletConfiguration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "enableServer": False,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": RUNTIME_ENDPOINT,
        **({} if node.cgroup_v2 else {"failCgroupV1": False}),
        "makeIPTablesUtilChains": False,
        # its pods are on the host's network, where the machine's own resolver answers, on loopback too
        "resolvConf": "/etc/resolv.conf",
        "staticPodPath": MANIFESTS,
    }


def drop_in(node: NodeSettings, catalog: Catalog) -> str:
    """How it is started."""
    path = catalog.binary("kubelet").path
    return render.template(
        "kubelet/10-standalone.conf.j2", kubelet=path, config=kubelet.CONFIG, node=node.name
    )


def steps(
    node: NodeSettings, catalog: Catalog, source: Source, after: frozenset[Ref] = frozenset()
) -> tuple[Step, ...]:
    """Binary, files, service. `after`: what must be there before it starts (static pods, their images)."""
    text, start = render.dump(config(node)), drop_in(node, catalog)
    digest = basic.digest(catalog.binary("kubelet").sha256, kubelet.unit(catalog), start, text)
    reader = basic.Reader(kubelet.UNIT, digest)
    files = (
        kubelet.unit_file(node, catalog, reader),
        kubelet.file(
            node, "kubelet/unit-standalone", "Write how the kubelet is started", DROP_IN, start, reader
        ),
        kubelet.file(node, "kubelet/config", "Write the kubelet's config", kubelet.CONFIG, text, reader),
        artifacts.inputs("kubelet/inputs", node, kubelet.UNIT, digest, frozenset({"kubelet/unit"})),
    )
    needed = {"kubelet/binary", "images/pause", "kernel/", "runtime/", *(step.id for step in files)}
    return (
        artifacts.binary("kubelet/binary", node, catalog, source, "kubelet", reader),
        *files,
        basic.EnsureUnit(
            id=kubelet.SERVICE,
            title="Run the kubelet, by itself",
            on=node.name,
            after=frozenset({*needed, *after}),
            follows=frozenset(
                {"kubelet/binary", "kubelet/unit", "kubelet/unit-standalone", "kubelet/config"}
            ),
            unit=kubelet.UNIT,
            digest=digest,
        ),
    )
