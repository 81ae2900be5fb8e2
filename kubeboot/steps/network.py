"""flannel: the pod network, with VXLAN and nftables, as a DaemonSet without privileges."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Ref, Step
from kubeboot.kube.api import Object
from kubeboot.steps import basic, conditions, manifests, node_api

NAMESPACE = "kube-flannel"
SCRIPTS = ("cni-conf.json", "publish.sh")


def steps(
    spec: ClusterSpec, node: NodeSettings, catalog: Catalog, after: Iterable[Ref] = ("control-plane/ready",)
) -> tuple[Step, ...]:
    """The DaemonSet comes when its pod can start at once: a pod network is assigned, and the CA is there."""
    objects = load(spec, catalog.image("flannel").name)
    readable = ("network/configmap-kube-flannel-cfg", "network/rolebinding-kubeboot:node-pods")
    waits = ("network/pod-cidr", "network/root-ca", *readable)
    return (
        *manifests.steps(objects, "network", after, {"DaemonSet": waits}),
        basic.Await(
            id="network/pod-cidr",
            title=f"Wait for {node.name}'s pod network",
            on=CLUSTER,
            after=frozenset({"node/registered", "control-plane/kube-controller-manager"}),
            condition=conditions.NodeHasPodCidr(node.name),
            cost=2.0,
        ),
        root_ca(NAMESPACE, "network", f"network/namespace-{NAMESPACE}"),
    )


def root_ca(namespace: str, room: str, *after: Ref) -> Step:
    """Wait for the ConfigMap that every pod of a namespace mounts: a mount that fails is tried again late."""
    return basic.Await(
        id=f"{room}/root-ca",
        title=f"Wait for the CA in {namespace}",
        on=CLUSTER,
        after=frozenset({"control-plane/kube-controller-manager", *after}),
        condition=conditions.ObjectExists("v1", "ConfigMap", "kube-root-ca.crt", namespace),
        cost=2.0,
    )


def load(spec: ClusterSpec, image: str) -> tuple[Object, ...]:
    """flannel's objects; where its machine has haproxy, it goes through that and waits for nobody."""
    files = (
        *((name, render.template(f"flannel/{name}")) for name in SCRIPTS),
        ("net-conf.json", net_conf(spec.networking.pod_subnet)),
    )
    return manifests.load(
        "flannel/objects.yaml.j2",
        image=image,
        files=files,
        inputs=manifests.inputs(files),
        api_port=spec.load_balancer.port,
        node_kubeconfig=node_api.path(spec),
    )


def net_conf(pod_subnet: str) -> str:
    """flannel's own config for one subnet, or one of each family."""
    networks = [ipaddress.ip_network(part.strip()) for part in pod_subnet.split(",")]
    names = {4: "Network", 6: "IPv6Network"}
    versions = {network.version for network in networks}
    return json.dumps(
        {
            "EnableIPv4": 4 in versions,
            "EnableIPv6": 6 in versions,
            **{names[network.version]: str(network) for network in networks},
            "EnableNFTables": True,
            "Backend": {"Type": "vxlan"},
        },
        indent=2,
    )
