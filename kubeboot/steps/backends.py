"""What keeps haproxy's servers current: a timer, and a script with the kubelet's credentials or its own."""

from __future__ import annotations

from kubeboot import render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Ref, Step
from kubeboot.steps import balancer_access, basic

SCRIPT = "/usr/local/lib/kubeboot/backends"
TIMER = "kubeboot-backends.timer"
SERVICE = "kubeboot-backends.service"
STATE = "/run/kubeboot-backends"
"""Since when an address is missing, and (in `loaded`) which config haproxy was told to read."""
_UNITS = "/etc/systemd/system"


def settings(spec: ClusterSpec, node: NodeSettings) -> tuple[tuple[str, str], ...]:
    """What the script is told: how others' servers are marked; who it is, if not the kubelet."""
    if node.role != "load_balancer":
        return (("OTHERS", "backup" if node.role == "control_plane" else ""),)
    return (
        ("KUBECONFIG", balancer_access.KUBECONFIG),
        ("TOKEN", balancer_access.TOKEN),
        ("TOKEN_HOURS", str(spec.certificates.validity_days * 24)),
    )


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """The script and its units; the timer starts behind whatever has the credentials that it uses."""
    files = _files(spec, node)
    state = basic.EnsureDir(
        id="load-balancer/backends-state",
        title="Make its directory",
        on=node.name,
        after=frozenset({"trees/"}),
        path=STATE,
        tree=True,
    )
    return (*files, state, _timer(node, (*files, state), frozenset(step.id for step in files[1:])))


def _files(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    told = settings(spec, node)
    table = (
        ("load-balancer/backends", "Install what keeps haproxy's servers current", SCRIPT,
         render.template("haproxy/backends.sh"), 0o755),
        ("load-balancer/backends-service", "Write its unit", f"{_UNITS}/{SERVICE}",
         render.template("systemd/kubeboot-backends.service.j2", script=SCRIPT, settings=told), 0o644),
        ("load-balancer/backends-timer", "Write its timer", f"{_UNITS}/{TIMER}",
         render.template("systemd/kubeboot-backends.timer.j2"), 0o644),
    )  # fmt: skip
    return tuple(
        basic.EnsureFile(
            id=step_id, title=title, on=node.name, after=frozenset({"trees/"}), path=path, data=text.encode(),
            mode=mode,
        )
        for step_id, title, path, text, mode in table
    )  # fmt: skip


def _timer(node: NodeSettings, behind: tuple[Step, ...], units: frozenset[Ref]) -> Step:
    access = "kubeconfig/load-balancer" if node.role == "load_balancer" else "kubeconfig/kubelet"
    return basic.EnsureActive(
        id="load-balancer/timer",
        title="Run the timer that keeps haproxy's servers current",
        on=node.name,
        after=frozenset({*(step.id for step in behind), "kubelet/kubectl", "kubelet/service", access}),
        follows=units,
        unit=TIMER,
        starts=SERVICE,
    )
