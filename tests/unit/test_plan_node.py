"""Which address, name and resolver a machine gets."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.config.machines import NodeOptions
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.facts import Facts, Nic
from kubeboot.plan import node

LAN = Nic("eth1", ("192.168.56.10/24", "fd00::10/64"))
NAT = Nic("eth0", ("10.0.2.15/24",))


def facts(**changes: object) -> Facts:
    base: dict[str, object] = {
        "hostname": "cp-1",
        "nics": (LAN,),
        "default_nic": "eth1",
        "default_source": "192.168.56.10",
        "nameservers": ("192.168.56.1",),
    }
    return Facts(**(base | changes))  # type: ignore[arg-type]


def test_the_default_route_s_source_is_the_address() -> None:
    assert node.default_address(facts()) == "192.168.56.10"


def test_the_machines_cpus_are_known_to_its_steps() -> None:
    assert node.settings(ClusterSpec(), facts(cpus=12), "worker").cpus == 12


def test_vagrant_s_nat_nic_is_passed_over_when_there_is_one_other() -> None:
    classic = facts(nics=(NAT, LAN), default_nic="eth0", default_source="10.0.2.15")
    assert node.default_address(classic) == "192.168.56.10"


def test_a_nat_nic_alone_is_taken() -> None:
    assert (
        node.default_address(facts(nics=(NAT,), default_nic="eth0", default_source="10.0.2.15"))
        == "10.0.2.15"
    )


def test_docker_s_bridge_is_no_candidate() -> None:
    bridge = Nic("docker0", ("172.17.0.1/16",))
    classic = facts(nics=(NAT, bridge, LAN), default_nic="eth0", default_source="10.0.2.15")
    assert node.default_address(classic) == "192.168.56.10"


def test_an_address_of_the_cluster_s_own_ranges_is_no_candidate() -> None:
    leftover = (Nic("m0", ("10.96.3.1/24",)), Nic("m1", ("10.244.1.1/24", "fe80::1/64")))
    classic = facts(nics=(*leftover, NAT, LAN), default_nic="eth0", default_source="10.0.2.15")
    assert node.settings(ClusterSpec(), classic, "control_plane").address == "192.168.56.10"


def test_several_candidates_are_asked_about() -> None:
    third = Nic("eth2", ("10.1.0.5/16",))
    with pytest.raises(errors.PreflightFailed) as caught:
        node.default_address(facts(nics=(NAT, LAN, third), default_nic="eth0", default_source="10.0.2.15"))
    assert "192.168.56.10 (eth1), 10.1.0.5 (eth2)" in caught.value.message
    assert "--apiserver-advertise-address 192.168.56.10" in (caught.value.hint or "")


def test_without_a_default_route_the_one_plain_address_is_taken() -> None:
    assert node.default_address(facts(nics=(NAT, LAN), default_source="", default_nic="")) == "192.168.56.10"


@pytest.mark.parametrize(
    ("nics", "hint"), [((), "ADDRESS"), ((NAT, LAN, Nic("eth2", ("10.1.0.5/16",))), "192.168.56.10")]
)
def test_no_default_route_and_no_one_address_is_a_finding(nics: tuple[Nic, ...], hint: str) -> None:
    with pytest.raises(errors.PreflightFailed, match="no default route") as caught:
        node.default_address(facts(nics=nics, default_source="", default_nic=""))
    assert (caught.value.hint or "").endswith(hint)


@pytest.mark.parametrize(("wanted", "name"), [("cp-1", "cp-1"), ("CP-1.Lab", "cp-1.lab")])
def test_names_are_lower_cased(wanted: str, name: str) -> None:
    assert node.node_name(wanted) == name


@pytest.mark.parametrize(("wanted", "better"), [("my_host", "my-host"), ("-x-", "x"), ("ü", "node-1")])
def test_a_bad_name_is_refused_with_a_better_one(wanted: str, better: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        node.node_name(wanted)
    assert caught.value.hint == f"give one with --node-name {better}"


@pytest.mark.parametrize(
    ("nameservers", "resolved", "expected"),
    [
        (("192.168.56.1",), (), ("/etc/resolv.conf", ())),
        (("127.0.0.53",), ("9.9.9.9",), (node.RESOLVED_RESOLV_CONF, ())),
        (("127.0.0.11",), (), (node.OWN_RESOLV_CONF, ("192.168.56.10",))),
        (("127.0.0.1", "10.0.0.1"), (), (node.OWN_RESOLV_CONF, ("10.0.0.1",))),
        ((), (), (node.OWN_RESOLV_CONF, ("192.168.56.10",))),
    ],
)
def test_pods_never_inherit_a_loopback_resolver(
    nameservers: tuple[str, ...], resolved: tuple[str, ...], expected: tuple[str, tuple[str, ...]]
) -> None:
    found = node.resolver(facts(nameservers=nameservers, resolved_nameservers=resolved), "192.168.56.10")
    assert found == expected


def test_a_control_plane_is_tainted_unless_it_is_alone() -> None:
    spec = ClusterSpec()
    assert node.settings(spec, facts(), "control_plane").taints == (node.CONTROL_PLANE_TAINT,)
    assert node.settings(spec.model_copy(update={"single": True}), facts(), "control_plane").taints == ()
    assert node.settings(spec, facts(), "worker").taints == ()


def test_the_interface_is_the_one_that_has_the_address() -> None:
    spec = ClusterSpec(node=NodeOptions(advertise_address="10.0.2.15"))
    found = node.settings(spec, facts(nics=(NAT, LAN)), "worker", "192.168.56.10")
    assert (found.address, found.interface) == ("10.0.2.15", "eth0")
