"""containerd with runc and the CNI plugins, from the catalog, as one service."""

from __future__ import annotations

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Source
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Step
from kubeboot.steps import artifacts, basic

CONFIG = "/etc/containerd/config.toml"
UNIT = basic.CONTAINERD
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
SHUTDOWN = "/etc/systemd/system/cri-containerd-.scope.d/10-kubeboot.conf"
SHUTDOWN_TEXT = "[Scope]\nTimeoutStopSec=30s\n"
"""When a machine goes down, systemd ends all containers at once, and an API server without etcd waits for it
as long as it may: 90 s by default. 30 s is what pods get elsewhere (terminationGracePeriodSeconds)."""
BINARIES = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
PLUGINS = ("bridge", "loopback", "portmap", "host-local", "flannel")
SERVICE = "runtime/service"


def config(node: NodeSettings, catalog: Catalog) -> str:
    """containerd's config; what it does not say is containerd's own default."""
    return render.template(
        "containerd/config.toml.j2",
        sandbox=catalog.image("pause").name,
        runc=catalog.binary("runc").path,
        may_lower_oom_score=node.may_lower_oom_score,
    )


def unit(node: NodeSettings, catalog: Catalog) -> str:
    """containerd.service; in /etc it wins over a distribution's own."""
    return render.template(
        "systemd/containerd.service.j2",
        containerd=catalog.binary("containerd").path,
        variables=node.proxy_variables,
        may_lower_oom_score=node.may_lower_oom_score,
    )


def inputs(node: NodeSettings, catalog: Catalog) -> str:
    """What a running containerd is started from. Shims and runc are started afresh for every pod."""
    return basic.digest(config(node, catalog), unit(node, catalog), catalog.binary("containerd").sha256)


def steps(node: NodeSettings, catalog: Catalog, source: Source) -> tuple[Step, ...]:
    """Binaries, files, service. The service starts without the CNI plugins: pods need them."""
    binaries = tuple(f"runtime/binary-{name}" for name in BINARIES)
    files = ("runtime/config", "runtime/unit", "runtime/inputs", "runtime/shutdown")
    reader = basic.Reader(UNIT, inputs(node, catalog))
    readers = {"containerd": reader}
    return (
        *(
            artifacts.binary(f"runtime/binary-{n}", node, catalog, source, n, readers.get(n))
            for n in BINARIES
        ),
        *(artifacts.binary(f"runtime/cni-{n}", node, catalog, source, f"cni-{n}") for n in PLUGINS),
        *_files(node, catalog, reader),
        basic.EnsureUnit(
            id=SERVICE,
            title="Run containerd",
            on=node.name,
            after=frozenset({*binaries, *files, "kernel/module-overlay"}),
            follows=frozenset({"runtime/binary-containerd", "runtime/unit", "runtime/config"}),
            unit=UNIT,
            digest=reader.digest,
        ),
    )


def _files(node: NodeSettings, catalog: Catalog, reader: basic.Reader) -> tuple[Step, ...]:
    after_unit = frozenset({"runtime/unit"})
    return (
        basic.EnsureUnitFile(
            id="runtime/unit",
            title="Write containerd's unit",
            on=node.name,
            after=frozenset({"trees/"}),
            path=UNIT_FILE,
            data=unit(node, catalog).encode(),
            unit=UNIT,
            reader=reader,
        ),
        basic.EnsureFile(
            id="runtime/config",
            title="Write containerd's config",
            on=node.name,
            after=after_unit,
            path=CONFIG,
            data=config(node, catalog).encode(),
            reader=reader,
        ),
        basic.EnsureFile(
            id="runtime/shutdown",
            title="Let no container delay a shutdown",
            on=node.name,
            after=after_unit,
            path=SHUTDOWN,
            data=SHUTDOWN_TEXT.encode(),
        ),
        artifacts.inputs("runtime/inputs", node, UNIT, reader.digest, after_unit),
    )
