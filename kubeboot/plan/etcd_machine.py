"""`kubeboot etcd init` and `etcd join`: a machine runs a member of etcd, under a kubelet of no cluster."""

from __future__ import annotations

from kubeboot.artifacts.api import Source
from kubeboot.config.etcd_access import Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Step
from kubeboot.plan import machine, remove
from kubeboot.steps import etcd
from kubeboot.steps.etcd import join as etcd_join
from kubeboot.steps.etcd import machine as etcd_machine
from kubeboot.steps.kubelet import standalone

BEFORE_ETCD = frozenset(
    {"images/", "runtime/", "kernel/", "etcd/description", "kubelet/binary", "kubelet/inputs",
     "kubelet/config"}
)  # fmt: skip
"""What can fail on this machine alone has not failed when the other members are told of it."""


def plan(spec: ClusterSpec, node: NodeSettings, source: Source, invited: Invitation | None = None) -> Plan:
    """Everything from an empty machine to a member that votes. Without an invitation it is the first one.

    `spec` is `config.etcd_access.joined` with the invitation's where there is one.
    """
    catalog = source.catalog()
    member, before = (
        (etcd.steps(spec, node, catalog), etcd.manifest(spec))
        if invited is None
        else (etcd_join.steps(spec, node, catalog, BEFORE_ETCD), etcd_join.before_kubelet(spec))
    )
    steps: tuple[Step, ...] = (
        *machine.steps(spec, node, source),
        *etcd_machine.pki(spec, node, invited),
        etcd_machine.description(spec, node),
        *member,
        *standalone.steps(node, catalog, source, after=before),
        etcd_machine.ready(node),
    )
    command = "etcd-init" if invited is None else "etcd-join"
    title = f"etcd machine {node.name} ({node.address}), for Kubernetes {spec.kubernetes_version}"
    return Plan(command, title, machine.in_order(steps), {node.name: node.role})


def removal(here: str, name: str, addresses: tuple[str, ...] = ()) -> Plan:
    """The members do without one that is gone, by its name or where it was. Run on any that stays."""
    made = (remove.leave_etcd("remove", name, addresses),)
    return Plan("etcd-remove", f"{name}: remove it from etcd", made, {here: "etcd"})
