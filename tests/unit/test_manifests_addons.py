"""kube-proxy, flannel and CoreDNS against upstream's manifests: each difference has its reason."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer, Networking
from kubeboot.engine import plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.kube.api import Object
from kubeboot.steps import dns, network, objects, proxy
from tests.unit import manifest_diff

GOLDEN = pathlib.Path(__file__).parent / "golden"
SPEC = ClusterSpec()
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
IMAGES = {
    "kube-proxy": "registry.k8s.io/kube-proxy:v1.37.1",
    "flannel": "ghcr.io/flannel-io/flannel:v0.28.4",
    "coredns": "registry.k8s.io/coredns/coredns:v1.14.7",
}
CATALOG = Catalog("v1.37.1", "amd64", (), tuple(Image(c, name, "sha256:0") for c, name in IMAGES.items()))
OURS = {
    "kube-proxy": proxy.load(SPEC, IMAGES["kube-proxy"]),
    "flannel": network.load(SPEC, IMAGES["flannel"]),
    "coredns": dns.load(SPEC, IMAGES["coredns"]),
}
UPSTREAM = {
    "kube-proxy": "kubeadm-1.37.1/kube-proxy.yaml",
    "flannel": "flannel-0.28.4/kube-flannel.yaml",
    "coredns": "kubeadm-1.37.1/coredns.yaml",
}
REASONS: dict[str, dict[str, str]] = {
    "kube-proxy": {
        "/ConfigMap kube-proxy/data/kubeconfig.conf": "its own machine's haproxy",
        "/ConfigMap kube-proxy/data/config.conf": "nftables, sysctls left to the host, see the test below",
        "/DaemonSet kube-proxy/*/securityContext/privileged": "not privileged",
        "/DaemonSet kube-proxy/*/securityContext/allowPrivilegeEscalation": "not privileged",
        "/DaemonSet kube-proxy/*/securityContext/capabilities/*": "not privileged",
        "/DaemonSet kube-proxy/spec/template/spec/securityContext/*": "seccomp",
        "/DaemonSet kube-proxy/*/kube-proxy/readOnly": "it only reads its config",
        "/DaemonSet kube-proxy/*/volumeMounts/*": "nftables needs neither the lock of iptables nor modules",
        "/DaemonSet kube-proxy/*/volumes/*": "the same",
        "/DaemonSet kube-proxy/*/fieldRef/apiVersion": "as the API server stores it",
        "/DaemonSet kube-proxy/spec/template/metadata/annotations/*": "restarts when the ConfigMap changes",
        "/RoleBinding kube-proxy/subjects/*/apiGroup": "as the API server stores it",
    },
    "flannel": {
        "/Namespace kube-flannel/metadata/labels/pod-security.kubernetes.io/*": "no warnings either",
        "/ClusterRole flannel/rules/*": "NODE_NAME saves it from reading its own pod",
        "/ConfigMap kube-flannel-cfg/data/net-conf.json": "nftables, see the test below",
        "/ConfigMap kube-flannel-cfg/data/publish.sh": "publishes the CNI config when it can be used",
        "/DaemonSet kube-flannel-ds/*/initContainers/*": "the plugin is there; publish.sh does the rest",
        "/DaemonSet kube-flannel-ds/*/lifecycle/*": "publish.sh",
        "/DaemonSet kube-flannel-ds/*/env/*": "the node's name and address; its own machine's haproxy",
        "/DaemonSet kube-flannel-ds/*/args/--iface": "the node's address, not the default route's",
        "/Role kubeboot:node-pods/*": "its kubelet reads its ConfigMap at the first attempt",
        "/RoleBinding kubeboot:node-pods/*": "the same",
        "/DaemonSet kube-flannel-ds/*/securityContext/*": "no more rights than it needs",
        "/DaemonSet kube-flannel-ds/*/affinity/*": "a nodeSelector says the same",
        "/DaemonSet kube-flannel-ds/*/nodeSelector/*": "the same",
        "/DaemonSet kube-flannel-ds/*/tolerations/*": "also nodes with NoExecute taints have pods",
        "/DaemonSet kube-flannel-ds/*/volumeMounts/*": "CNI config; no lock of iptables",
        "/DaemonSet kube-flannel-ds/*/volumes/*": "the same",
        "/DaemonSet kube-flannel-ds/*/imagePullPolicy": "as for every image of ours",
        "/DaemonSet kube-flannel-ds/spec/updateStrategy/type": "as the API server stores it",
        "/DaemonSet kube-flannel-ds/spec/template/metadata/*": "restarts when the ConfigMap changes",
    },
    "coredns": {
        "/Deployment coredns/*/image": "the newer patch of the lock file",
        "/Deployment coredns/*/readinessProbe/*": "names answer a second after they can",
        "/Deployment coredns/*/livenessProbe/periodSeconds": "as the API server stores it",
        "/Deployment coredns/spec/template/spec/securityContext/*": "seccomp",
        "/Service kube-dns/metadata/resourceVersion": "server-side apply needs none",
    },
}  # fmt: skip


def titled(found: tuple[Object, ...] | list[Any]) -> dict[str, Object]:
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in found}


@pytest.mark.parametrize("name", OURS)
def test_as_upstream_has_it(name: str) -> None:
    theirs = render.load_all((GOLDEN / UPSTREAM[name]).read_text())
    found = manifest_diff.differences(titled(theirs), titled(OURS[name]))
    manifest_diff.explained(found, REASONS[name])


def workloads() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, found in OURS.items():
        for obj in found:
            if obj["kind"] in ("DaemonSet", "Deployment"):
                yield name, obj["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "pod"), list(workloads()))
def test_no_container_has_more_rights_than_named(name: str, pod: Mapping[str, Any]) -> None:
    wanted = {
        "kube-proxy": ["NET_ADMIN"],
        "flannel": ["NET_ADMIN", "NET_RAW"],
        "coredns": ["NET_BIND_SERVICE"],
    }
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert "initContainers" not in pod
    for container in pod["containers"]:
        context = container["securityContext"]
        assert "privileged" not in context and context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"add": wanted[name], "drop": ["ALL"]}


@pytest.mark.parametrize(("name", "pod"), list(workloads()))
def test_every_mount_has_its_volume(name: str, pod: Mapping[str, Any]) -> None:
    mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield value
        for below in value.values():
            yield from _leaves(below)
    elif isinstance(value, list):
        yield value
        for below in value:
            yield from _leaves(below)


@pytest.mark.parametrize("name", OURS)
def test_objects_are_as_the_api_server_stores_them(name: str) -> None:
    """Else a second run would find a difference that is none."""
    for obj in OURS[name]:
        for leaf in _leaves(obj):
            assert leaf, f"{obj['kind']}: an empty map or list is not stored"
        for container in obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            assert all("protocol" in port for port in container.get("ports", ()))
            assert all(isinstance(v.get("value", ""), str) for v in container.get("env", ()))
        for text in obj.get("data", {}).values():
            assert isinstance(text, str)


def data(name: str, key: str, spec: ClusterSpec | None = None) -> str:
    found = {"kube-proxy": proxy, "flannel": network, "coredns": dns}[name].load(spec or SPEC, "image")  # type: ignore[attr-defined]
    text: str = next(obj["data"][key] for obj in found if obj["kind"] == "ConfigMap")
    return text


def test_kube_proxy_changes_no_sysctl_and_opens_no_port_on_other_addresses() -> None:
    assert render.load(data("kube-proxy", "config.conf")) == {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": ".".join("0000"),
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": {"maxPerCore": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        "healthzBindAddress": ".".join("0000") + ":10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "200ms"},
        "nodePortAddresses": ["primary"],
    }


def test_kube_proxy_on_ipv6() -> None:
    spec = ClusterSpec(networking=Networking(pod_subnet="fd00:10::/56", service_subnet="fd00:20::/112"))
    made = render.load(data("kube-proxy", "config.conf", spec))
    assert (made["bindAddress"], made["healthzBindAddress"]) == ("::", "[::]:10256")
    assert (made["clusterCIDR"], made["metricsBindAddress"]) == ("fd00:10::/56", "[::1]:10249")


def test_everybody_on_a_machine_asks_its_own_haproxy() -> None:
    spec = ClusterSpec(load_balancer=LoadBalancer(port=9443))
    kubeconfig = render.load(data("kube-proxy", "kubeconfig.conf", spec))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:9443"
    assert kubeconfig["clusters"][0]["cluster"]["tls-server-name"] == "kubernetes"
    daemonset = titled(network.load(spec, "image"))["DaemonSet kube-flannel-ds"]
    env = {e["name"]: e.get("value") for e in daemonset["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "9443")


@pytest.mark.parametrize(
    ("subnet", "wanted"),
    [
        ("10.244.0.0/16", {"EnableIPv4": True, "EnableIPv6": False, "Network": "10.244.0.0/16"}),
        ("fd00::/56", {"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00::/56"}),
        (
            "10.1.0.0/16,fd00::/56",
            {"EnableIPv4": True, "EnableIPv6": True, "Network": "10.1.0.0/16", "IPv6Network": "fd00::/56"},
        ),
    ],
)
def test_flannels_network_is_the_pod_subnet(subnet: str, wanted: dict[str, object]) -> None:
    common = {"EnableNFTables": True, "Backend": {"Type": "vxlan"}}
    assert json.loads(network.net_conf(subnet)) == wanted | common


def test_flannels_cni_config_is_upstreams() -> None:
    theirs = render.load_all((GOLDEN / UPSTREAM["flannel"]).read_text())
    text = next(obj["data"]["cni-conf.json"] for obj in theirs if obj["kind"] == "ConfigMap")
    assert json.loads(data("flannel", "cni-conf.json")) == json.loads(text)


def test_a_changed_config_restarts_the_pods_and_a_changed_image_is_not_a_changed_config() -> None:
    def inputs(spec: ClusterSpec, image: str = "image") -> str:
        pod = titled(proxy.load(spec, image))["DaemonSet kube-proxy"]["spec"]["template"]
        value: str = pod["metadata"]["annotations"]["kubeboot.io/inputs"]
        return value

    other = ClusterSpec(networking=Networking(pod_subnet="10.1.0.0/16"))
    assert inputs(SPEC) != inputs(other)
    assert inputs(SPEC) == inputs(SPEC, "another")


@pytest.mark.parametrize(
    ("subnet", "address"),
    [("10.96.0.0/12", "10.96.0.10"), ("fd00::/108", "fd00::a"), ("10.5.0.0/16,fd00::/108", "10.5.0.10")],
)
def test_dns_has_the_tenth_address(subnet: str, address: str) -> None:
    spec = ClusterSpec(networking=Networking(service_subnet=subnet))
    assert dns.service_address(spec) == address
    assert titled(dns.load(spec, "image"))["Service kube-dns"]["spec"]["clusterIP"] == address


def test_the_domain_is_in_the_corefile() -> None:
    spec = ClusterSpec(networking=Networking(dns_domain="example.org"))
    assert "kubernetes example.org in-addr.arpa" in data("coredns", "Corefile", spec)
    assert "cluster.local" not in data("coredns", "Corefile", spec)


def all_steps() -> tuple[Step, ...]:
    return (
        *proxy.steps(SPEC, CATALOG),
        *network.steps(SPEC, NODE, CATALOG),
        *dns.steps(SPEC, NODE, CATALOG),
    )


def test_the_ids_that_others_depend_on() -> None:
    rooms: dict[str, set[str]] = {}
    for step in all_steps():
        room, _, rest = step.id.partition("/")
        rooms.setdefault(room, set()).add(rest)
    assert rooms == {
        "proxy": {
            "serviceaccount-kube-proxy", "clusterrolebinding-kubeadm:node-proxier", "role-kube-proxy",
            "rolebinding-kube-proxy", "configmap-kube-proxy", "daemonset-kube-proxy", "root-ca",
        },
        "network": {
            "namespace-kube-flannel", "serviceaccount-flannel", "clusterrole-flannel",
            "clusterrolebinding-flannel", "configmap-kube-flannel-cfg", "daemonset-kube-flannel-ds",
            "role-kubeboot:node-pods", "rolebinding-kubeboot:node-pods", "pod-cidr", "root-ca",
        },
        "dns": {
            "serviceaccount-coredns", "clusterrole-system:coredns", "clusterrolebinding-system:coredns",
            "configmap-coredns", "service-kube-dns", "deployment-coredns", "answers",
        },
    }  # fmt: skip


def test_the_order_between_them() -> None:
    given = ("control-plane/ready", "control-plane/kube-controller-manager", "node/registered")
    others = tuple(Step(id=name, title=name, on="cp-1") for name in given)
    made = plan.Plan("init", "", (*others, *all_steps()), {"cp-1": "control_plane"})
    before = plan.edges(made)
    assert {(CLUSTER, n) for n in ("network/pod-cidr", "network/root-ca")} <= before[
        CLUSTER, "network/daemonset-kube-flannel-ds"
    ]
    assert (CLUSTER, "network/namespace-kube-flannel") in before[
        CLUSTER, "network/configmap-kube-flannel-cfg"
    ]
    assert (CLUSTER, "proxy/root-ca") in before[CLUSTER, "proxy/daemonset-kube-proxy"]
    last = before["cp-1", "dns/answers"]
    everything = {(step.on, step.id) for step in all_steps()} - {("cp-1", "dns/answers")}
    assert last == everything
    assert plan.ordered(before)[-1] == ("cp-1", "dns/answers")


def test_each_object_is_applied_once_for_the_cluster() -> None:
    found = [step for step in all_steps() if isinstance(step, objects.EnsureObject)]
    assert {step.on for step in found} == {CLUSTER}
    assert all(("cp-1" not in json.dumps(step.obj)) for step in found)
