"""kube-proxy in nftables mode: kubeadm's objects, without its privileges."""

from __future__ import annotations

from collections.abc import Iterable

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config import balancing, effective
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Ref, Step
from kubeboot.kube.api import Object
from kubeboot.steps import manifests, network, node_api

NAMESPACE = "kube-system"


def steps(
    spec: ClusterSpec, catalog: Catalog, after: Iterable[Ref] = ("control-plane/ready",)
) -> tuple[Step, ...]:
    """The DaemonSet comes when its pods can start at once."""
    waits = ("proxy/root-ca", "proxy/configmap-kube-proxy", "proxy/serviceaccount-kube-proxy")
    return (
        *manifests.steps(load(spec, catalog.image("kube-proxy").name), "proxy", after, {"DaemonSet": waits}),
        network.root_ca(NAMESPACE, "proxy"),
    )


def load(spec: ClusterSpec, image: str) -> tuple[Object, ...]:
    """kube-proxy's objects; where its machine has haproxy, it reaches the API through that."""
    subnet = spec.networking.pod_subnet
    values = {
        "server": balancing.worker_server(spec),
        "kubeconfig": node_api.path(spec) or "/var/lib/kube-proxy/kubeconfig.conf",
        "pod_subnet": subnet,
        "ipv6": ":" in subnet.split(",")[0],
    }
    files = (
        ("config.conf", _config(spec, render.template("kube-proxy/config.conf.j2", **values))),
        ("kubeconfig.conf", render.template("kube-proxy/kubeconfig.conf.j2", **values)),
    )
    return manifests.load(
        "kube-proxy/objects.yaml.j2",
        image=image,
        files=files,
        inputs=manifests.inputs(files),
        node_kubeconfig=node_api.path(spec),
    )


def _config(spec: ClusterSpec, text: str) -> str:
    ours = render.load(text)
    wanted = effective.kube_proxy(spec, ours)
    return text if wanted == ours else render.dump(wanted)
