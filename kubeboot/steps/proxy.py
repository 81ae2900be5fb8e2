"""kube-proxy in nftables mode: kubeadm's objects, without its privileges."""

from __future__ import annotations

from collections.abc import Iterable

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config import effective
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Ref, Step
from kubeboot.kube.api import Object
from kubeboot.steps import manifests, network

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
    """kube-proxy's objects; it reaches the API through its own machine's haproxy."""
    subnet = spec.networking.pod_subnet
    values = {
        "api_port": spec.load_balancer.port,
        "pod_subnet": subnet,
        "ipv6": ":" in subnet.split(",")[0],
    }
    files = (
        ("config.conf", _config(spec, render.template("kube-proxy/config.conf.j2", **values))),
        ("kubeconfig.conf", render.template("kube-proxy/kubeconfig.conf.j2", **values)),
    )
    return manifests.load(
        "kube-proxy/objects.yaml.j2", image=image, files=files, inputs=manifests.inputs(files)
    )


def _config(spec: ClusterSpec, text: str) -> str:
    ours = render.load(text)
    wanted = effective.kube_proxy(spec, ours)
    return text if wanted == ours else render.dump(wanted)
