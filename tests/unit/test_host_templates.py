"""What the host's steps write: golden files, kubeadm's own settings, and what the files must say."""

from __future__ import annotations

import configparser
import dataclasses
import os
import pathlib
import shlex
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, Networking
from kubeboot.steps import kernel, kubelet, runtime
from kubeboot.steps.kubelet import settings as kubelet_config
from tests.fakes.source import FakeSource

GOLDEN = pathlib.Path(__file__).parent / "golden"
CATALOG = FakeSource().catalog()
SPEC = ClusterSpec()
PLAIN = NodeSettings("worker-1", "192.0.2.21", "worker")
CONTROL_PLANE = NodeSettings(
    "cp-1",
    "192.0.2.11",
    "control_plane",
    taints=(("node-role.kubernetes.io/control-plane", "", "NoSchedule"), ("zone", "a", "NoExecute")),
    labels=(("disk", "ssd"), ("node-role.kubernetes.io/db", "")),
)
CONTAINER = dataclasses.replace(
    PLAIN,
    cgroup_v2=False,
    may_lower_oom_score=False,
    resolv_conf="/etc/kubernetes/resolv.conf",
    nameservers=("192.0.2.53", "2001:db8::53"),
)
FILES = {
    "containerd.toml": runtime.config(PLAIN, CATALOG),
    "containerd-in-a-container.toml": runtime.config(CONTAINER, CATALOG),
    "containerd.service": runtime.unit(PLAIN, CATALOG),
    "containerd-in-a-container.service": runtime.unit(CONTAINER, CATALOG),
    "kubelet.service": kubelet.unit(CATALOG),
    "kubelet-10-kubeadm.conf": kubelet.unit_kubeadm(CATALOG),
    "kubelet-node.conf": render.dump(kubelet_config.node_config(PLAIN)),
    "kubelet-node-control-plane.conf": render.dump(kubelet_config.node_config(CONTROL_PLANE)),
    "kubelet-node-in-a-container.conf": render.dump(kubelet_config.node_config(CONTAINER)),
    "kubelet-config.yaml": render.dump(kubelet_config.kubelet_config(SPEC)),
    "kubeadm-flags.env": kubelet_config.flags(CONTROL_PLANE),
    "resolv.conf": kubelet.resolv_conf(CONTAINER),
    "sysctl.conf": kernel.sysctl_file(kernel.settings(SPEC, 16)),
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_as_it_was_read_over(name: str) -> None:
    """UPDATE_GOLDEN=1 writes it instead: read the difference before it is committed."""
    path = GOLDEN / "host" / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(FILES[name])
    assert FILES[name] == path.read_text()


KUBEADM_DIFFERS = {
    "maxParallelImagePulls": "a registry that hangs must not hold up other pods",
    "serializeImagePulls": "the same",
    "makeIPTablesUtilChains": "kube-proxy and flannel use nftables; iptables chains would stay after a reset",
    "readOnlyPort": "said, not left to a default",
}


def test_the_shared_config_is_kubeadms_but_for_what_has_a_reason() -> None:
    ours = kubelet_config.kubelet_config(SPEC)
    theirs = render.load((GOLDEN / "kubeadm-1.37.1" / "kubelet-config.yaml").read_text())
    differ = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
    assert differ == set(KUBEADM_DIFFERS)


def test_the_shared_config_follows_the_spec() -> None:
    spec = ClusterSpec(networking=Networking(service_subnet="10.20.0.0/16,fd00::/112", dns_domain="k.local"))
    config = kubelet_config.kubelet_config(spec)
    assert config["clusterDNS"] == ["10.20.0.10"]
    assert config["clusterDomain"] == "k.local"


@pytest.mark.parametrize("node", [PLAIN, CONTROL_PLANE, CONTAINER], ids=["worker", "control", "container"])
def test_nothing_of_one_machine_is_in_the_shared_config(node: NodeSettings) -> None:
    shared = kubelet_config.kubelet_config(SPEC)
    own = set(kubelet_config.node_config(node)) - {"apiVersion", "kind"}
    assert {key for key in own if shared.get(key) not in (None, "", "0s", {})} == set()  # 0s: the default


@pytest.mark.parametrize("node", [PLAIN, CONTAINER], ids=["machine", "container"])
def test_containerd_agrees_with_the_kubelet_and_the_machine(node: NodeSettings) -> None:
    plugins = tomllib.loads(runtime.config(node, CATALOG))["plugins"]
    cri = plugins["io.containerd.cri.v1.runtime"]
    runc = cri["containerd"]["runtimes"]["runc"]["options"]
    assert kubelet_config.kubelet_config(SPEC)["cgroupDriver"] == "systemd"
    assert runc == {"BinaryName": "/usr/local/bin/runc", "SystemdCgroup": True}
    pause = CATALOG.image("pause").name
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": pause}
    assert cri.get("restrict_oom_score_adj", False) is not node.may_lower_oom_score


def service(text: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser["Service"]


def test_containerd_leaves_its_pods_running_when_it_stops() -> None:
    unit = service(runtime.unit(PLAIN, CATALOG))
    assert (unit["KillMode"], unit["Delegate"], unit["Type"]) == ("process", "yes", "notify")
    assert unit["OOMScoreAdjust"] == "-999"
    assert "OOMScoreAdjust" not in service(runtime.unit(CONTAINER, CATALOG))


def test_the_kubelet_has_no_bootstrap_kubeconfig_and_reads_both_families_files() -> None:
    drop_in = kubelet.unit_kubeadm(CATALOG)
    assert "bootstrap-kubelet.conf" not in drop_in
    assert "--bootstrap-kubeconfig" not in drop_in
    for path in (kubelet.FLAGS, "/etc/default/kubelet", "/etc/sysconfig/kubelet"):
        assert f"EnvironmentFile=-{path}\n" in drop_in
    assert f"--config={kubelet.CONFIG} --config-dir={kubelet.CONFIG_DIR}" in drop_in
    # a unit's own ExecStart must be emptied before it is set again
    assert drop_in.index("ExecStart=\n") < drop_in.index("ExecStart=/usr/local/bin/kubelet $")


def test_the_flags_are_one_line_that_systemd_can_split() -> None:
    name, _, value = kubelet_config.flags(CONTROL_PLANE).strip().partition("=")
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in shlex.split(value)[0].split())
    assert name == "KUBELET_KUBEADM_ARGS"
    assert flags == {
        "hostname-override": "cp-1",
        "node-ip": "192.0.2.11",
        "node-labels": "kubeboot.io/local-lb=static,disk=ssd",
    }


LABELS = {
    "disk": True,
    "example.com/disk": True,
    "kubeboot.io/x": True,
    "notkubernetes.io/x": True,
    "kubernetes.io/os": True,
    "kubernetes.io/x": False,
    "topology.kubernetes.io/zone": True,
    "topology.kubernetes.io/rack": False,
    "node.kubernetes.io/x": True,
    "a.node.kubernetes.io/x": True,
    "kubelet.kubernetes.io/x": True,
    "node-role.kubernetes.io/db": False,
    "node-restriction.kubernetes.io/x": False,
    "k8s.io/x": False,
    "x.k8s.io/x": False,
}


@pytest.mark.parametrize("key", LABELS)
def test_a_label_that_the_kubelet_would_refuse_is_left_to_the_api(key: str) -> None:
    assert kubelet_config.registrable(key) is LABELS[key]


@given(cpus=st.integers(1, 1024))
def test_conntrack_is_never_below_kube_proxys_and_the_kernels_own(cpus: int) -> None:
    values = {setting.key: setting.value for setting in kernel.settings(SPEC, cpus)}
    assert values["net.netfilter.nf_conntrack_max"] >= max(131_072, 32_768 * cpus, 262_144)


@pytest.mark.parametrize(("pods", "forwards"), [("10.244.0.0/16", False), ("10.244.0.0/16,fd00::/56", True)])
def test_ipv6_is_forwarded_only_where_pods_have_it(pods: str, forwards: bool) -> None:
    spec = ClusterSpec(networking=Networking(pod_subnet=pods))
    keys = {setting.key for setting in kernel.settings(spec, 1)}
    assert ("net.ipv6.conf.all.forwarding" in keys) is forwards


def test_every_setting_is_set_now_and_kept_in_one_file() -> None:
    made = {step.id: step for step in kernel.steps(SPEC, dataclasses.replace(PLAIN, cpus=16))}
    texts = [
        getattr(made[f"kernel/{name}"], "data").decode()  # noqa: B009 - a field of EnsureFile
        for name in ("sysctl-file", "sysctl-minimums-file")
    ]
    for setting in kernel.settings(SPEC, 16):
        line = f"{setting.key} = {setting.value}\n"
        assert [line in text for text in texts] == [not setting.minimum, setting.minimum]
        assert f"kernel/sysctl-{setting.key}" in made


def test_modules_that_settings_need_are_loaded_at_boot() -> None:
    assert {setting.module for setting in kernel.settings(SPEC, 1)} <= {"", *kernel.MODULES}


DIGESTED = (
    dataclasses.replace(PLAIN, labels=(("a", "b"),)),
    dataclasses.replace(PLAIN, name="other"),
    dataclasses.replace(PLAIN, address="192.0.2.22"),
    dataclasses.replace(PLAIN, cgroup_v2=False),
    dataclasses.replace(PLAIN, resolv_conf="/run/resolv.conf"),
    dataclasses.replace(PLAIN, taints=(("a", "b", "NoSchedule"),)),
)


def test_whatever_the_kubelet_reads_is_in_its_digest() -> None:
    shared = render.dump(kubelet_config.kubelet_config(SPEC))
    digests = {kubelet.inputs(shared, node, CATALOG) for node in (PLAIN, *DIGESTED)}
    assert len(digests) == 1 + len(DIGESTED)
    assert kubelet.inputs(shared, PLAIN, FakeSource("newer").catalog()) not in digests
    assert kubelet.inputs(f"{shared}maxPods: 7\n", PLAIN, CATALOG) not in digests
