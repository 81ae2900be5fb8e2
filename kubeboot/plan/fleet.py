"""The plans of a fleet: those of init and join for each machine, by one description of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot import errors, render
from kubeboot.artifacts.api import Source
from kubeboot.config.etcd_access import Invitation
from kubeboot.config.machines import Taint
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.inventory.model import Machine
from kubeboot.kube.facts import ClusterFacts
from kubeboot.plan import etcd_machine, init, join, join_balancer, join_control_plane, machine
from kubeboot.steps import artifacts
from kubeboot.steps import node as marks
from kubeboot.steps.kubelet import settings as kubelet_config

CHECKED_HERE = frozenset({artifacts.VERIFIED})
"""A fleet's files come from one place, and each is checked on its way."""
ROOMS = ("dns", "proxy", "network", "cluster")
"""What init does once for the whole cluster."""


def spec_of(spec: ClusterSpec, found: Machine) -> ClusterSpec:
    """The cluster's description with what the inventory says of one machine."""
    said = {"name": found.name, "advertise_address": found.address or None}
    labels = {**spec.node.labels, **dict(found.labels)}
    taints = spec.node.taints
    if found.taints is not None:
        taints = tuple(Taint(key=k, value=v, effect=e) for k, v, e in found.taints)  # type: ignore[arg-type]
    node = spec.node.model_copy(update={**said, "labels": labels, "taints": taints})
    return spec.model_copy(update={"node": node})


def wanted(spec: ClusterSpec, cluster: ClusterFacts) -> ClusterFacts:
    """The cluster as it is to be; what is left open stays. ConfigInvalid for what cannot be changed."""
    there = cluster.spec
    kept: dict[str, object] = {
        "control_plane_endpoint": spec.control_plane_endpoint or there.control_plane_endpoint
    }
    if "mode" not in spec.load_balancer.model_fields_set:
        mode = {"mode": there.load_balancer.mode}
        kept["load_balancer"] = spec.load_balancer.model_copy(update=mode)
    if spec.etcd.external is None and there.etcd.external is not None:
        kept["etcd"] = there.etcd
    if "kubernetes_version" not in spec.model_fields_set:
        kept["kubernetes_version"] = there.kubernetes_version
    if "encrypt_secrets" not in spec.api_server.model_fields_set:
        encrypted = {"encrypt_secrets": there.api_server.encrypt_secrets}
        kept["api_server"] = spec.api_server.model_copy(update=encrypted)
    asked = spec.model_copy(update=kept)
    for name, has, wants in (
        ("kubernetesVersion", there.kubernetes_version, asked.kubernetes_version),
        ("clusterName", there.cluster_name, asked.cluster_name),
        ("networking", there.networking, asked.networking),
        ("loadBalancer.mode", there.load_balancer.mode, asked.load_balancer.mode),
        ("apiServer.encryptSecrets", _encrypts(there), _encrypts(asked)),
        ("etcd's place", _place(there), _place(asked)),
    ):
        if has != wants:
            raise errors.ConfigInvalid(
                f"{name} of an existing cluster cannot be changed this way: it is {has}, not {wants}",
                hint=f"leave {name} as it is, or out of the description",
                reason="KB_IMMUTABLE",
            )
    kubelet = render.dump(kubelet_config.kubelet_config(asked))
    return dataclasses.replace(cluster, spec=asked, kubelet_config=kubelet)


def _place(spec: ClusterSpec) -> str:
    return "on the control planes" if spec.etcd.external is None else "elsewhere"


def _encrypts(spec: ClusterSpec) -> str:
    return "true" if spec.api_server.encrypt_secrets else "false"


def founder(spec: ClusterSpec, node: NodeSettings, source: Source, given: Mapping[str, bytes]) -> Plan:
    """The first control plane of a new cluster. `given`: how it gets into an etcd on machines of its own."""
    return init.plan(spec, node, source, (), given).without(CHECKED_HERE)


def balancer(spec: ClusterSpec, node: NodeSettings, source: Source, cluster: ClusterFacts) -> Plan:
    """As `kubeboot join --role lb`."""
    return join_balancer.plan(spec, node, source, cluster).without(CHECKED_HERE)


def etcd(spec: ClusterSpec, node: NodeSettings, source: Source, invited: Invitation | None) -> Plan:
    """As `kubeboot etcd init`, or with an invitation `etcd join`."""
    beside = spec.model_copy(update={"etcd": spec.etcd.model_copy(update={"external": None})})
    return etcd_machine.plan(beside, node, source, invited).without(CHECKED_HERE)


def prepared(spec: ClusterSpec, node: NodeSettings, source: Source) -> Plan:
    """What a machine needs of its own, before there is a cluster to join."""
    steps = machine.in_order(machine.steps(spec, node, source))
    title = f"{spec.cluster_name}: prepare {node.name}"
    return Plan("join", title, steps, {node.name: node.role}).without(CHECKED_HERE)


def worker(spec: ClusterSpec, node: NodeSettings, source: Source, cluster: ClusterFacts) -> Plan:
    """As `kubeboot join`; and an administrator may change the labels and taints of a Node that is there."""
    made = join.plan(spec, node, source, cluster)
    return dataclasses.replace(made, steps=(*made.steps, *_marked(node))).without(CHECKED_HERE)


def _marked(node: NodeSettings) -> tuple[Step, ...]:
    labels = (*kubelet_config.local(node), *node.labels)
    if not (labels or node.taints):
        return ()
    mark = marks.MarkNode(
        id="node/mark",
        title=f"Mark {node.name} with its labels and taints",
        on=node.name,
        after=frozenset({"node/registered"}),
        node=node.name,
        labels=labels,
        taints=node.taints,
    )
    return (mark,)


def control_plane(
    spec: ClusterSpec,
    node: NodeSettings,
    source: Source,
    cluster: ClusterFacts,
    given: Mapping[str, bytes],
    lead: bool = False,
) -> Plan:
    """As `kubeboot join --control-plane`. The one in the `lead` sees to what the cluster has once, too."""
    made = join_control_plane.plan(spec, node, source, cluster, given)
    once = _once(spec, node, source) if lead else ()
    return dataclasses.replace(made, steps=(*made.steps, *once)).without(CHECKED_HERE)


def _once(spec: ClusterSpec, node: NodeSettings, source: Source) -> tuple[Step, ...]:
    steps = init.plan(spec, node, source, ()).steps
    return tuple(s for s in steps if s.on == CLUSTER or s.id.split("/")[0] in ROOMS)
