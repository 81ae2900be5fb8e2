"""kubeadm's documents as input: what is taken, warned of, refused. Nothing is dropped silently."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.config import document, kubeadm, loader
from kubeboot.config.components import Argument, HostPathMount, Variable
from kubeboot.config.machines import Taint
from kubeboot.config.problems import InvalidConfig
from tests.unit.config_support import load

EXAMPLES = pathlib.Path(__file__).parent / "golden" / "cli-kubeadm-examples"
PIN = f"sha256:{'1f' * 32}"


def _doc(kind: str, **fields: Any) -> str:
    version = {
        "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
        "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
    }.get(kind, kubeadm.API_VERSION)
    return yaml.safe_dump({"apiVersion": version, "kind": kind, **fields}, sort_keys=False)


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfig) as caught:
        load(text)
    return tuple(str(p) for p in caught.value.problems)


def test_cluster_configuration() -> None:
    found = load(
        _doc(
            "ClusterConfiguration",
            clusterName="example",
            kubernetesVersion="v1.36.4",
            controlPlaneEndpoint="10.100.0.1:6443",
            imageRepository="mirror.example.org/k8s",
            encryptionAlgorithm="RSA-3072",
            certificateValidityPeriod="4380h0m0s",
            caCertificateValidityPeriod="43800h",
            certificatesDir="/etc/kubernetes/pki",
            networking={
                "serviceSubnet": "10.96.0.0/16",
                "podSubnet": "10.245.0.0/16",
                "dnsDomain": "corp.local",
            },
            apiServer={
                "certSANs": ["10.100.1.1", "api.example.org"],
                "extraArgs": [{"name": "v", "value": "2"}, {"name": "v", "value": "3"}],
                "extraEnvs": [{"name": "A", "value": "b"}],
                "extraVolumes": [
                    {"name": "a", "hostPath": "/a", "mountPath": "/b"},
                    {"name": "c", "hostPath": "/c", "mountPath": "/d", "readOnly": True, "pathType": "File"},
                ],
            },
            controllerManager={"extraArgs": [{"name": "node-cidr-mask-size", "value": "24"}]},
            scheduler={"extraEnvs": [{"name": "C", "value": "d"}]},
            etcd={
                "local": {
                    "dataDir": "/data/etcd",
                    "serverCertSANs": ["etcd.example.org"],
                    "peerCertSANs": ["10.100.0.1"],
                    "extraArgs": [{"name": "quota-backend-bytes", "value": "8589934592"}],
                    "extraEnvs": [{"name": "E", "value": "f"}],
                }
            },
        )
    )
    spec = found.spec
    assert (spec.cluster_name, spec.kubernetes_version, spec.control_plane_endpoint) == (
        "example", "v1.36.4", "10.100.0.1:6443",
    )  # fmt: skip
    assert (spec.networking.service_subnet, spec.networking.pod_subnet) == ("10.96.0.0/16", "10.245.0.0/16")
    assert spec.networking.dns_domain == "corp.local"
    assert spec.artifacts.image_repository == "mirror.example.org/k8s"
    assert (spec.certificates.algorithm, spec.certificates.validity_days) == ("RSA-3072", 182)
    assert spec.certificates.ca_validity_days == 1825
    assert spec.api_server.cert_sans == ("10.100.1.1", "api.example.org")
    assert spec.api_server.extra_args == (Argument(name="v", value="2"), Argument(name="v", value="3"))
    assert spec.api_server.extra_envs == (Variable(name="A", value="b"),)
    assert spec.api_server.extra_volumes == (
        HostPathMount(name="a", host_path="/a", mount_path="/b", read_only=False),
        HostPathMount(name="c", host_path="/c", mount_path="/d", read_only=True, path_type="File"),
    )
    assert spec.controller_manager.extra_args == (Argument(name="node-cidr-mask-size", value="24"),)
    assert spec.scheduler.extra_envs == (Variable(name="C", value="d"),)
    assert (spec.etcd.data_dir, spec.etcd.server_cert_sans) == ("/data/etcd", ("etcd.example.org",))
    assert (spec.etcd.peer_cert_sans, spec.etcd.extra_envs) == (
        ("10.100.0.1",),
        (Variable(name="E", value="f"),),
    )
    assert found.warnings == (
        "<stdin>:8: certificateValidityPeriod: kubeboot counts whole days, and uses 182",
    )


def test_init_configuration() -> None:
    found = load(
        _doc(
            "InitConfiguration",
            bootstrapTokens=[{"token": "9a08jv.c0izixklcxtmnze7", "ttl": "2h0m0s"}],
            localAPIEndpoint={"advertiseAddress": "10.200.0.1", "bindPort": 7443},
            nodeRegistration={
                "name": "cp-1",
                "criSocket": "unix:///var/run/containerd/containerd.sock",
                "imagePullPolicy": "IfNotPresent",
                "taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}],
                "ignorePreflightErrors": ["Swap", "NumCPU"],
                "kubeletExtraArgs": [
                    {"name": "node-labels", "value": "disk=ssd,zone=a"},
                    {"name": "v", "value": "5"},
                ],
            },
            skipPhases=["addon/kube-proxy", "show-join-command"],
            dryRun=True,
        )
    )
    assert (found.spec.node.name, found.spec.node.advertise_address) == ("cp-1", "10.200.0.1")
    assert found.spec.api_server.bind_port == 7443
    assert found.spec.node.taints == (Taint(key="a", value="b", effect="NoSchedule"),)
    assert found.spec.node.labels == {"disk": "ssd", "zone": "a"}
    assert found.run.token is not None
    assert found.run.token.value == "9a08jv.c0izixklcxtmnze7"
    assert "c0izixklcxtmnze7" not in repr(found)
    assert found.run.token_ttl == datetime.timedelta(hours=2)
    assert found.run.ignore_preflight_errors == ("Swap", "NumCPU")
    assert found.run.skip_phases == ("addon/kube-proxy", "show-join-command")
    assert found.run.dry_run
    assert found.spec.node.kubelet_extra_args == (Argument(name="v", value="5"),)
    assert found.warnings == ()


def test_an_empty_list_of_taints_means_no_taints_and_null_means_the_usual_ones() -> None:
    assert load(_doc("InitConfiguration", nodeRegistration={"taints": []})).spec.node.taints == ()
    assert load(_doc("InitConfiguration", nodeRegistration={"taints": None})).spec.node.taints is None


def test_node_ip_of_the_kubelet_is_the_machines_address() -> None:
    registration = {"kubeletExtraArgs": [{"name": "node-ip", "value": "192.168.56.11"}]}
    found = load(_doc("InitConfiguration", nodeRegistration=registration))
    assert (found.spec.node.advertise_address, found.warnings) == ("192.168.56.11", ())


def test_a_token_that_does_not_expire() -> None:
    for ttl in ("0", "0s"):
        found = load(
            _doc("InitConfiguration", bootstrapTokens=[{"token": "abcdef.0123456789abcdef", "ttl": ttl}])
        )
        assert found.run.token_ttl == datetime.timedelta(0)


def test_join_configuration() -> None:
    found = load(
        _doc(
            "JoinConfiguration",
            discovery={
                "bootstrapToken": {
                    "apiServerEndpoint": "10.0.0.11:6443",
                    "token": "abcdef.0123456789abcdef",
                    "caCertHashes": [PIN],
                    "unsafeSkipCAVerification": False,
                },
                "tlsBootstrapToken": "zzzzzz.0123456789abcdef",
            },
            caCertPath="/etc/kubernetes/pki/ca.crt",
            nodeRegistration={"name": "w-1"},
        )
    )
    assert (found.run.endpoint, found.run.ca_pins, found.warnings) == ("10.0.0.11:6443", (PIN,), ())
    assert found.run.token is not None
    assert found.run.token.value == "abcdef.0123456789abcdef"


def test_kubelet_and_proxy_documents_become_sections_of_ours() -> None:
    found = load(
        "---\n".join(
            [
                _doc("KubeletConfiguration", cgroupDriver="systemd", clusterDomain="corp.local", maxPods=200),
                _doc(
                    "KubeProxyConfiguration",
                    mode="ipvs",
                    clusterCIDR="10.50.0.0/16",
                    iptables={"masqueradeAll": True},
                ),
            ]
        )
    )
    assert (found.spec.networking.dns_domain, found.spec.networking.pod_subnet) == (
        "corp.local",
        "10.50.0.0/16",
    )
    assert [w.split(": ", 1)[1] for w in found.warnings] == [
        "mode has no effect: kube-proxy runs in nftables mode"
    ]
    assert found.spec.kubelet == {"cgroupDriver": "systemd", "maxPods": 200}
    assert found.spec.kube_proxy == {"iptables": {"masqueradeAll": True}}
    assert load(_doc("KubeProxyConfiguration", mode="nftables")).warnings == ()


CLUSTER, INIT, JOIN, KUBELET = (f"{kind}Configuration" for kind in ("Cluster", "Init", "Join", "Kubelet"))
REFUSED: list[tuple[str, Mapping[str, Any], str]] = [
    (CLUSTER, {"clusterNmae": "a"}, "clusterNmae: unknown field (did you mean `clusterName`?)"),
    (CLUSTER, {"networking": {"podCIDR": "a"}}, "networking.podCIDR: unknown field"),
    (CLUSTER, {"networking": "10.0.0.0/8"}, "networking: must be a mapping of fields"),
    (CLUSTER, {"networking": {"podSubnet": "10.0.0.0"}}, "networking.podSubnet: `10.0.0.0` is not"),
    (CLUSTER, {"imageRepository": "https://x"}, "imageRepository: `https://x` is a URL"),
    (CLUSTER, {"encryptionAlgorithm": "DSA"}, "encryptionAlgorithm: `DSA` is not one of"),
    (CLUSTER, {"etcd": {"external": {"endpoints": ["http://a:2379"]}}}, "is not an https URL"),
    (CLUSTER, {"etcd": {"external": {"endpoint": ["a"]}}}, "did you mean `endpoints`?"),
    (CLUSTER, {"certificatesDir": "/pki"}, "certificatesDir: kubeboot keeps certificates in"),
    (CLUSTER, {"certificateValidityPeriod": "1h"}, "not a duration of at least a day"),
    (CLUSTER, {"certificateValidityPeriod": 365}, "certificateValidityPeriod: must be text"),
    (CLUSTER, {"dns": {"disabled": "yes"}}, "dns.disabled: must be true or false"),
    (CLUSTER, {"dns": {"disable": True}}, "dns.disable: unknown field (did you mean `disabled`?)"),
    (CLUSTER, {"apiServer": {"extraArgs": {"v": "4"}}}, "apiServer.extraArgs: must be a list"),
    (CLUSTER, {"apiServer": {"extraEnvs": [{"name": "A", "valueFrom": {}}]}}, "valueFrom: is not supported"),
    (CLUSTER, {"apiServer": {"timeoutForControlPlane": "4m"}}, "timeoutForControlPlane: unknown field"),
    (CLUSTER, {"kubernetesVersion": "v1.21.0"}, "kubernetesVersion: `v1.21.0` is not supported"),
    (INIT, {"localAPIEndpoint": {"bindPort": "6443"}}, "localAPIEndpoint.bindPort: must be"),
    (INIT, {"nodeRegistration": {"name": "A_B"}}, "nodeRegistration.name: `A_B` is not made of"),
    (INIT, {"nodeRegistration": {"ignorePreflightErrors": "all"}}, "must be a list of texts"),
    (INIT, {"bootstrapTokens": {"token": "x"}}, "bootstrapTokens: must be a list"),
    (INIT, {"bootstrapTokens": ["x"]}, "bootstrapTokens[0]: must be a mapping"),
    (INIT, {"bootstrapTokens": [{"token": "x"}]}, "this is not a bootstrap token"),
    (INIT, {"bootstrapTokens": [{"ttl": "a day"}]}, "bootstrapTokens[0].ttl: is not a duration"),
    (INIT, {"bootstrapTokens": [{"tll": "1h"}]}, "bootstrapTokens[0].tll: unknown field"),
    (INIT, {"skipPhases": ["nonsense"]}, "there is no phase `nonsense`"),
    (INIT, {"dryRun": "true"}, "dryRun: must be true or false"),
    (JOIN, {"discovery": {"file": {"kubeConfigPath": "/x"}}}, "discovery by file is not supported"),
    (JOIN, {"discovery": {"bootstrapToken": {"unsafeSkipCAVerification": True}}}, "cannot verify"),
    (JOIN, {"discovery": {"bootstrapToken": {"apiServerEndpoint": "10.0.0.11"}}}, "has no port"),
    (JOIN, {"discovery": {"bootstrapToken": {"apiServerEndpoint": 6443}}}, "must be text"),
    (JOIN, {"discovery": {"bootstrapToken": {"token": "x"}}}, "this is not a bootstrap token"),
    (JOIN, {"controlPlane": []}, "controlPlane: must be a mapping"),
    (JOIN, {"controlPlane": {"certificatekey": "x"}}, "certificatekey: unknown field (did you mean"),
    (JOIN, {"controlPlane": {"certificateKey": "x"}}, "controlPlane.certificateKey: "),
    (JOIN, {"caCertPath": "/ca.crt"}, "kubeboot keeps the CA in"),
    (KUBELET, {"cgroupDriver": "cgroupfs"}, "sets up containerd and the kubelet for systemd"),
    (KUBELET, {"staticPodPath": "/pods"}, "uses /etc/kubernetes/manifests"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(kind: str, fields: Mapping[str, Any], message: str) -> None:
    problems = _problems(_doc(kind, **fields))
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith("<stdin>:") for problem in problems)


NOTED: list[tuple[str, Mapping[str, Any], str]] = [
    (CLUSTER, {"featureGates": {"RootlessControlPlane": True}}, "featureGates"),
    (CLUSTER, {"dns": {"imageTag": "v1.12.0"}}, "dns.imageTag"),
    (CLUSTER, {"etcd": {"local": {"imageTag": "3.5.0"}}}, "etcd.local.imageTag"),
    (
        JOIN,
        {"controlPlane": {"localAPIEndpoint": {"bindPort": 7443}}},
        "controlPlane.localAPIEndpoint.bindPort",
    ),
    (INIT, {"timeouts": {"kubernetesAPICall": "40s"}}, "timeouts.kubernetesAPICall"),
    (INIT, {"nodeRegistration": {"criSocket": "unix:///run/crio/crio.sock"}}, "nodeRegistration.criSocket"),
    (INIT, {"nodeRegistration": {"imagePullSerial": False}}, "nodeRegistration.imagePullSerial"),
    (INIT, {"bootstrapTokens": [{"description": "x"}]}, "bootstrapTokens[0].description"),
    (INIT, {"bootstrapTokens": [{}, {"ttl": "1h"}]}, "bootstrapTokens[1]"),
    (JOIN, {"discovery": {"timeout": "5m"}}, "discovery.timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "field"), NOTED, ids=lambda v: str(v)[:40])
def test_warned_of(kind: str, fields: Mapping[str, Any], field: str) -> None:
    (warning,) = load(_doc(kind, **fields)).warnings
    assert f": {field} has no effect: " in warning
    assert "ff" * 32 not in warning


def test_what_is_to_be_left_out_adds_up_over_documents() -> None:
    found = load(
        _doc("InitConfiguration", skipPhases=["preflight"])
        + "---\n"
        + _doc("ClusterConfiguration", dns={"disabled": True})
    )
    assert found.run.skip_phases == ("preflight", "dns")


def test_a_control_plane_that_joins() -> None:
    found = load(
        _doc(
            "JoinConfiguration",
            controlPlane={
                "localAPIEndpoint": {"advertiseAddress": "10.100.0.2"}, "certificateKey": "1f" * 32,
            },
            discovery={"bootstrapToken": {"apiServerEndpoint": "10.100.0.1:6443"}},
        )
    )  # fmt: skip
    assert found.run.control_plane and found.run.certificate_key is not None
    assert (found.run.certificate_key.value, found.spec.node.advertise_address) == ("1f" * 32, "10.100.0.2")
    assert "1f1f" not in repr(found)
    assert not load(_doc("JoinConfiguration")).run.control_plane


def test_addons_that_are_disabled_are_phases_that_are_skipped() -> None:
    found = load(_doc("ClusterConfiguration", dns={"disabled": True}, proxy={"disabled": True}))
    assert found.run.skip_phases == ("dns", "proxy")
    assert load(_doc("ClusterConfiguration", dns={"disabled": False})).run.skip_phases == ()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_kubeadms_own_examples_are_understood(path: pathlib.Path) -> None:
    """Each is accepted, or refused for what kubeboot does not do; no field of kubeadm's is unknown."""
    try:
        loader.load([str(path)], read_files=False)
    except InvalidConfig as error:
        said = [str(p) for p in error.problems]
        assert not [s for s in said if "unknown field" in s]
        assert all(any(reason in s for reason in HONEST_REFUSALS) for s in said), said


HONEST_REFUSALS = (
    "is not supported by this kubeboot",
    "cannot verify; give caCertHashes",
    "discovery by file is not supported",
    "is smaller than the /24 of one node",
)


def test_there_are_ten_examples() -> None:
    assert len(list(EXAMPLES.glob("*.yaml"))) >= 10


FIELDS = [
    (kind, field)
    for (_, kind), table in kubeadm.KINDS.items()
    for field in table
    if kind.startswith(("I", "C", "J"))
]


@given(st.sampled_from(FIELDS), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
))  # fmt: skip
def test_any_value_in_any_field_is_taken_warned_of_or_refused(where: tuple[str, str], value: Any) -> None:
    kind, field = where
    data: Any = value
    for part in reversed(field.split(".")):
        data = {part: data}
    try:
        load(_doc(kind, **data))
    except InvalidConfig as error:
        assert error.problems


def test_origins_follow_the_value() -> None:
    text = f"apiVersion: {kubeadm.API_VERSION}\nkind: ClusterConfiguration\nnetworking:\n\n  podSubnet: x\n"
    (doc,), _ = document.parse(text.encode(), "c.yaml")
    moved = kubeadm.translate(doc, "ClusterConfiguration").layer.origins[("networking", "podSubnet")]
    assert (str(moved), moved.field) == ("c.yaml:5", "networking.podSubnet")
