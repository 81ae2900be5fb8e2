"""kubeadm's documents as input: every field that means something here is taken."""

from __future__ import annotations

import datetime

from kubeboot.config import document, kubeadm
from kubeboot.config.components import Argument, HostPathMount, Variable
from kubeboot.config.machines import Taint
from tests.unit.config_support import kubeadm_document, load

PIN = f"sha256:{'1f' * 32}"


def test_cluster_configuration() -> None:
    found = load(
        kubeadm_document(
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
        kubeadm_document(
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
    assert load(kubeadm_document("InitConfiguration", nodeRegistration={"taints": []})).spec.node.taints == ()
    assert (
        load(kubeadm_document("InitConfiguration", nodeRegistration={"taints": None})).spec.node.taints
        is None
    )


def test_node_ip_of_the_kubelet_is_the_machines_address() -> None:
    registration = {"kubeletExtraArgs": [{"name": "node-ip", "value": "192.168.56.11"}]}
    found = load(kubeadm_document("InitConfiguration", nodeRegistration=registration))
    assert (found.spec.node.advertise_address, found.warnings) == ("192.168.56.11", ())


def test_a_token_that_does_not_expire() -> None:
    for ttl in ("0", "0s"):
        found = load(
            kubeadm_document(
                "InitConfiguration", bootstrapTokens=[{"token": "abcdef.0123456789abcdef", "ttl": ttl}]
            )
        )
        assert found.run.token_ttl == datetime.timedelta(0)


def test_join_configuration() -> None:
    found = load(
        kubeadm_document(
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
                kubeadm_document(
                    "KubeletConfiguration", cgroupDriver="systemd", clusterDomain="corp.local", maxPods=200
                ),
                kubeadm_document(
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
    assert load(kubeadm_document("KubeProxyConfiguration", mode="nftables")).warnings == ()


def test_what_is_to_be_left_out_adds_up_over_documents() -> None:
    found = load(
        kubeadm_document("InitConfiguration", skipPhases=["preflight"])
        + "---\n"
        + kubeadm_document("ClusterConfiguration", dns={"disabled": True})
    )
    assert found.run.skip_phases == ("preflight", "dns")


def test_a_control_plane_that_joins() -> None:
    found = load(
        kubeadm_document(
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
    assert not load(kubeadm_document("JoinConfiguration")).run.control_plane


def test_addons_that_are_disabled_are_phases_that_are_skipped() -> None:
    found = load(kubeadm_document("ClusterConfiguration", dns={"disabled": True}, proxy={"disabled": True}))
    assert found.run.skip_phases == ("dns", "proxy")
    assert load(kubeadm_document("ClusterConfiguration", dns={"disabled": False})).run.skip_phases == ()


def test_origins_follow_the_value() -> None:
    text = f"apiVersion: {kubeadm.API_VERSION}\nkind: ClusterConfiguration\nnetworking:\n\n  podSubnet: x\n"
    (doc,), _ = document.parse(text.encode(), "c.yaml")
    moved = kubeadm.translate(doc, "ClusterConfiguration").layer.origins[("networking", "podSubnet")]
    assert (str(moved), moved.field) == ("c.yaml:5", "networking.podSubnet")
