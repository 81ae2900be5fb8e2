"""Where the API is reached: the balancer's modes and the virtual address, from description to plans."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kubeboot import errors, render
from kubeboot.config import balancing, rules
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import View
from kubeboot.host.facts import Facts, Nic
from kubeboot.kube import configmaps
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import sealed
from kubeboot.plan import init, join, join_balancer, join_control_plane
from kubeboot.plan import node as nodes
from kubeboot.steps import certificates, haproxy, network, proxy, virtual_ip
from kubeboot.steps.kubelet import standalone
from tests.fakes import tls
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

CP = NodeSettings("cp-1", "192.0.2.11", "control_plane", interface="eth1")
WORKER = NodeSettings("w-1", "192.0.2.21", "worker", interface="eth1")
LB = NodeSettings("lb-1", "192.0.2.31", "load_balancer", interface="eth1")
CA = tls.authority().certificate


def spec(mode: str = "local", endpoint: str | None = None, **virtual: Any) -> ClusterSpec:
    found = VirtualIp(**virtual) if virtual else None
    return ClusterSpec(
        control_plane_endpoint=endpoint,
        load_balancer=LoadBalancer.model_validate({"mode": mode, "virtual_ip": found}),
    )


EXTERNAL = spec("external", "k8s.example.org")
MACHINES = spec("machines", "192.0.2.31:8443")
VIRTUAL = spec(address="192.0.2.100")


def facts(wanted: ClusterSpec) -> ClusterFacts:
    text = render.dump({"kind": "KubeletConfiguration"})
    return ClusterFacts(CA, wanted, text, (("192.0.2.11", 6443),), "v1.37.1")


def every_plan(wanted: ClusterSpec) -> dict[str, Plan]:
    source, cluster = FakeSource(), facts(wanted)
    given = dict.fromkeys(sealed.FILES.values(), b"x")
    second = dataclasses.replace(CP, name="cp-2", address="192.0.2.12")
    found = {
        "init": init.plan(wanted, CP, source, ()),
        "worker": join.plan(wanted, WORKER, source, cluster),
        "control plane": join_control_plane.plan(wanted, second, source, cluster, given),
    }
    if balancing.runs_haproxy(wanted, "load_balancer"):
        found["balancer"] = join_balancer.plan(wanted, LB, source, cluster)
    return found


@pytest.mark.parametrize("wanted", [ClusterSpec(), EXTERNAL, MACHINES, VIRTUAL])
def test_every_plan_is_in_order(wanted: ClusterSpec) -> None:
    for plan in every_plan(wanted).values():
        assert plans.ordered(plans.edges(plan))


def ids(plan: Plan, *groups: str) -> set[str]:
    return {step.id for step in plan.steps if step.id.startswith(groups)}


HAPROXY = ("load-balancer/", "images/haproxy")


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        (ClusterSpec(), {"init", "worker", "control plane"}),
        (EXTERNAL, set()),
        (MACHINES, {"balancer"}),
        (VIRTUAL, {"init", "worker", "control plane"}),
    ],
)
def test_haproxy_runs_where_the_mode_says(wanted: ClusterSpec, where: set[str]) -> None:
    assert {name for name, plan in every_plan(wanted).items() if ids(plan, *HAPROXY)} == where


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        (ClusterSpec(), set()),
        (VIRTUAL, {"init", "control plane"}),
        (spec("machines", address="192.0.2.100"), {"balancer"}),
    ],
)
def test_keepalived_runs_where_haproxy_listens_on_all_addresses(wanted: ClusterSpec, where: set[str]) -> None:
    plans_ = every_plan(wanted)
    assert {name for name, plan in plans_.items() if ids(plan, "virtual-ip/", "images/keepalived")} == where


def test_a_balancer_has_nothing_of_a_node() -> None:
    found = every_plan(MACHINES)["balancer"]
    assert not ids(found, "node/", "kubelet/client-certificate", "kubeconfig/kubelet", "images/coredns")
    assert {"kubelet/service", "load-balancer/serves", "kubeconfig/load-balancer-token"} <= ids(
        found, "k", "l"
    )


@pytest.mark.parametrize(
    ("wanted", "endpoint", "server"),
    [
        (ClusterSpec(), "192.0.2.11:8443", "https://127.0.0.1:8443"),
        (EXTERNAL, "k8s.example.org:6443", "https://k8s.example.org:6443"),
        (spec("external", "k8s.example.org:443"), "k8s.example.org:443", "https://k8s.example.org:443"),
        (MACHINES, "192.0.2.31:8443", "https://192.0.2.31:8443"),
        (VIRTUAL, "192.0.2.100:8443", "https://127.0.0.1:8443"),
        (spec("machines", address="192.0.2.100"), "192.0.2.100:8443", "https://192.0.2.100:8443"),
    ],
)
def test_the_endpoint_and_what_workers_go_by(wanted: ClusterSpec, endpoint: str, server: str) -> None:
    assert balancing.control_plane_endpoint(wanted, CP.address) == endpoint
    assert balancing.worker_server(wanted) == server


def test_before_there_is_a_balancer_administrators_go_to_their_own_api_server() -> None:
    assert balancing.administrators(MACHINES, "192.0.2.11") == "192.0.2.11:6443"
    assert balancing.administrators(EXTERNAL, "192.0.2.11") == "k8s.example.org:6443"


@pytest.mark.parametrize(("node", "server"), [(CP, "192.0.2.11:6443"), (WORKER, "k8s.example.org:6443")])
def test_without_haproxy_each_machine_says_how_its_network_reaches_the_api(
    node: NodeSettings, server: str
) -> None:
    plan = every_plan(EXTERNAL)["init" if node is CP else "worker"]
    step = next(step for step in plan.steps if step.id == "kubeconfig/network")
    (cluster,) = render.load(step.data.decode())["clusters"]  # type: ignore[attr-defined]
    assert cluster["cluster"]["server"] == f"https://{server}"
    assert ("w-1" if node is WORKER else "cp-1", "kubeconfig/network") in plans.edges(plan)[
        (node.name, "kubelet/service")
    ]


def test_its_pods_mount_it_and_only_then() -> None:
    for wanted, mounted in ((EXTERNAL, True), (ClusterSpec(), False)):
        for made in (proxy.load(wanted, "i"), network.load(wanted, "i")):
            (pods,) = (obj["spec"]["template"]["spec"] for obj in made if obj["kind"] == "DaemonSet")
            paths = {volume.get("hostPath", {}).get("path") for volume in pods["volumes"]}
            assert ("/etc/kubernetes/network.conf" in paths) == mounted


def test_nodes_without_haproxy_do_not_say_that_they_have_it() -> None:
    machine = Facts(hostname="w-1", default_source="192.0.2.21")
    assert nodes.settings(ClusterSpec(), machine, "worker").local_balancer
    assert not nodes.settings(EXTERNAL, machine, "worker").local_balancer


def test_a_machine_that_has_the_virtual_address_at_the_moment_is_not_known_by_it() -> None:
    nic = Nic("eth1", ("192.0.2.11/24", "192.0.2.100/32"))
    machine = Facts(hostname="cp-1", nics=(nic,), default_source="192.0.2.11")
    assert nodes.settings(VIRTUAL, machine, "control_plane", "192.0.2.100").address == "192.0.2.11"


def test_the_virtual_address_is_in_certificates_and_in_the_clusters_records() -> None:
    assert "192.0.2.100" in certificates.site(VIRTUAL, CP).cert_sans
    text = configmaps.kubeboot_config(VIRTUAL, "192.0.2.100:8443")["data"][configmaps.KUBEBOOT_KEY]
    assert render.load(text)["loadBalancer"]["virtualIP"]["address"] == "192.0.2.100"


def test_router_ids_differ_for_addresses_of_a_network() -> None:
    found = {balancing.router_id(spec(address=f"192.0.2.{n}")) for n in range(1, 255)}
    assert len(found) == 254 and min(found) >= 1 and max(found) <= 255
    assert balancing.router_id(spec(address="192.0.2.1", router_id=7)) == 7


def test_keepalived_hears_everybody_or_all_who_are_named() -> None:
    assert "unicast" not in virtual_ip.config(VIRTUAL, CP)
    named = spec(address="192.0.2.100", peers=("192.0.2.11", "192.0.2.12", "192.0.2.13"))
    words = virtual_ip.config(named, CP).split()
    assert words[words.index("unicast_src_ip") + 1] == "192.0.2.11"
    peers = words[words.index("unicast_peer") + 1 :]
    assert peers[:4] == ["{", "192.0.2.12", "192.0.2.13", "}"]


def test_keepalived_takes_the_address_from_nobody_and_asks_haproxy() -> None:
    made = virtual_ip.config(VIRTUAL, CP)
    assert "nopreempt" in made and "state BACKUP" in made and "vrrp_version 3" in made
    assert "http://127.0.0.1:8444/serving" in made
    assert "path /serving" in haproxy.config(VIRTUAL, CP)
    assert "path /serving" not in haproxy.config(VIRTUAL, WORKER) + haproxy.config(MACHINES, LB)


def test_what_asks_haproxy_wants_no_option_that_a_busybox_may_lack() -> None:
    """Debian's crashes on -T; keepalived itself ends a check that takes too long."""
    script = next(line for line in virtual_ip.config(VIRTUAL, CP).splitlines() if " script " in line)
    assert {word for word in script.split() if word.startswith("-")} == {"-q", "-O"}


def test_a_virtual_address_that_nobody_takes_is_explained_by_keepalived() -> None:
    host = FakeHost("cp-1")
    log = "/var/log/pods/kube-system_keepalived-cp-1_1/keepalived/0.log"
    host.write(log, b"2026-11-21T08:40:52Z stderr F VRRP_Script(serving) failed (due to signal 11)\n")
    wait = next(step for step in every_plan(VIRTUAL)["init"].steps if step.id == "virtual-ip/serves")
    assert wait.settle is not None
    assert "keepalived:\nVRRP_Script(serving) failed" in wait.settle.explain(View(host, NoApi()))


def test_keepalived_is_not_privileged() -> None:
    pod = render.load(virtual_ip.pod(VIRTUAL, CP, "keepalived").render("x"))["spec"]
    context = pod["containers"][0]["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "capabilities": {
            "add": ["NET_ADMIN", "NET_BROADCAST", "NET_RAW", "SETGID", "SETUID"],
            "drop": ["ALL"],
        },
    }
    assert pod["hostNetwork"] and "ports" not in pod["containers"][0]


def test_a_source_without_keepalived_is_told_before_anything_is_changed() -> None:
    source = FakeSource()
    catalog = source.catalog()
    short = dataclasses.replace(
        catalog, images=tuple(i for i in catalog.images if i.component != "keepalived")
    )
    source.catalog = lambda: short  # type: ignore[method-assign]
    init.plan(ClusterSpec(), CP, source, ())
    with pytest.raises(errors.ConfigInvalid, match="keepalived"):
        init.plan(VIRTUAL, CP, source, ())


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (spec("external"), "controlPlaneEndpoint"),
        (spec("machines"), "controlPlaneEndpoint"),
        (spec("external", "k8s.example.org", address="192.0.2.100"), "virtualIP"),
        (spec(address="k8s.example.org"), "address"),
        (spec(address="127.0.0.1"), "address"),
        (spec(address="fd00::1"), "address"),
        (spec(address="10.244.3.1"), "address"),
        (spec(endpoint="192.0.2.99:8443", address="192.0.2.100"), "controlPlaneEndpoint"),
        (spec(address="192.0.2.100", peers=("192.0.2.100",)), "peers"),
        (spec(address="192.0.2.100", peers=("192.0.2.11", "192.0.2.11")), "peers"),
        (spec(address="192.0.2.100", peers=("cp-1",)), "peers"),
    ],
)
def test_what_does_not_fit_is_refused(wanted: ClusterSpec, field: str) -> None:
    found = rules.check(wanted)
    assert [field in problem.path for problem in found] == [True], found
    assert found[0].fix


@pytest.mark.parametrize(
    "wanted",
    [
        EXTERNAL,
        MACHINES,
        VIRTUAL,
        spec("machines", address="192.0.2.100"),
        spec(endpoint="k8s.example.org", address="192.0.2.100"),
        spec(address="192.0.2.100", peers=("192.0.2.11", "192.0.2.12")),
        ClusterSpec(
            control_plane_endpoint="192.0.2.31", load_balancer=LoadBalancer(mode="machines", port=6443)
        ),
    ],
)
def test_what_fits_is_not(wanted: ClusterSpec) -> None:
    assert rules.check(wanted) == []


def test_a_kubelet_by_itself_needs_no_file_that_nobody_writes() -> None:
    node = dataclasses.replace(LB, resolv_conf=nodes.OWN_RESOLV_CONF, nameservers=("192.0.2.53",))
    made = standalone.config(node)
    assert made["resolvConf"] == "/etc/resolv.conf"
    assert not made["enableServer"] and made["authentication"]["anonymous"] == {"enabled": False}
