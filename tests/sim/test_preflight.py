"""Every host fault that preflight knows, seeded on a fit machine in memory; and no false finding there."""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Link, Listener
from kubeboot.kube.surroundings import Machine
from kubeboot.steps import preflight
from kubeboot.steps.preflight import installers
from tests.fakes.host import FakeHost
from tests.sim import preflight_seeds as seeds
from tests.sim.preflight_faults import FAULTS
from tests.sim.preflight_seeds import Fault, Stage

DOCS = Path(__file__).parents[2] / "docs" / "preflight.md"


def names(stage: Stage) -> list[str]:
    return [f"{f.level}:{f.name}" for f in stage.findings()]


def test_a_fit_machine_has_no_finding() -> None:
    assert names(Stage(seeds.fit())) == []


@functools.cache
def seeded(fault: Fault) -> tuple[Stage, tuple[preflight.Finding, ...]]:
    """A machine with this fault, and what is found on it."""
    stage = Stage(seeds.fit())
    fault.seed(stage)
    stage.host.changes.clear()
    return stage, stage.findings()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.finding}-{f.level}")
def test_a_seeded_fault_is_found_and_nothing_else(fault: Fault) -> None:
    stage, found = seeded(fault)
    assert f"{fault.level}:{fault.finding}" in {f"{f.level}:{f.name}" for f in found}
    family = fault.finding.partition("-")[0]
    related = {
        "DiskSpace": {"DiskPressure"},
        "CgroupController": {"CgroupController"},
        "CIDRFull": {"CIDRFull"},
    }
    allowed = {family, *related.get(family, ())}
    assert {f.name.partition("-")[0] for f in found} <= allowed, "a fault tells of itself only"
    assert stage.host.changes == [], "looking changes nothing"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.finding}-{f.level}")
def test_a_finding_says_what_is_wrong_and_what_to_do(fault: Fault) -> None:
    _, found = seeded(fault)
    for finding in found:
        assert len(finding.message) > 15 and not finding.message.endswith(".")
        assert len(finding.hint) > 5 and finding.host == found[0].host
        assert " " not in finding.name, "a name is what --ignore-preflight-errors takes"


def test_sixty_kinds_of_the_catalog_are_covered() -> None:
    kinds = {fault.finding.partition("-")[0] if fault.catalog == "1" else fault.finding for fault in FAULTS}
    cataloged = {
        fault.finding for fault in FAULTS if fault.catalog != "-" and not fault.finding.startswith("Port-")
    }
    assert len(kinds) >= 60 and len(cataloged) >= 60
    assert len({fault.catalog for fault in FAULTS}) >= 35


def test_the_documented_table_is_the_tested_one() -> None:
    rows = re.findall(r"^\| \d+ \| (\S+) \| `(\S+?)` \| (error|warning) \|", DOCS.read_text(), re.MULTILINE)
    assert rows == [(f.catalog, f.finding, f.level) for f in FAULTS]


def test_everything_is_told_at_once() -> None:
    stage = Stage(seeds.fit())
    for fault in FAULTS:
        if fault.finding in ("Swap", "Port-6443", "NMCloudSetup", "CNIState"):
            fault.seed(stage)
    assert {"Swap", "Port-6443", "NMCloudSetup", "CNIState"} == {f.name for f in stage.findings()}


def test_no_finding_is_told_twice() -> None:
    for fault in FAULTS:
        counted = collections.Counter((f.name, f.message) for f in seeded(fault)[1])
        assert set(counted.values()) == {1}, fault.finding


def _ours(stage: Stage) -> None:
    """What a cluster of kubeboot's leaves on its machine."""
    stage.touched = True
    for seed in (
        seeds.listen(6443, process="kube-apiserver"),
        seeds.listen(8472, "udp", "", 0),
        seeds.put("/etc/kubernetes/manifests/etcd.yaml"),
        seeds.put("/etc/kubernetes/admin.conf"),
        seeds.put("/var/lib/etcd/member/wal"),
        seeds.put("/etc/cni/net.d/10-flannel.conflist"),
        seeds.put("/var/lib/cni/networks/cbr0/10.244.0.7"),
        seeds.put("/run/flannel/subnet.env", "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.0.1/24\n"),
        seeds.put("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "[Service]\nExecStart=\n"),
        seeds.put("/etc/sysctl.d/99-kubeboot.conf", "net.ipv4.ip_forward = 1\n"),
        seeds.link("cni0", addresses=("10.244.0.1/24",)),
        seeds.link("flannel.1"),
        seeds.run("kubelet.service"),
        seeds.run("containerd.service"),
        seeds.mount("/var/lib/kubelet/pods/1/volumes/token"),
    ):
        seed(stage)
    stage.host.nft.append(("ip", "kube-proxy"))


def test_what_is_ours_is_no_finding_on_a_machine_of_ours() -> None:
    stage = Stage(seeds.fit())
    _ours(stage)
    assert names(stage) == []


def test_on_a_machine_of_ours_what_is_not_ours_is_found_still() -> None:
    stage = Stage(seeds.fit())
    _ours(stage)
    seeds.listen(10250)(stage)
    seeds.put("/etc/cni/net.d/05-cilium.conflist")(stage)
    stage.host.link_table["cni0"] = Link("cni0", addresses=("10.244.3.1/24",))
    assert names(stage) == ["error:Port-10250", "error:CNIConfig-05-cilium.conflist", "error:BridgeAddress"]


@pytest.mark.parametrize(
    ("folder", "masked"), [("/etc/systemd/system", False), ("/usr/lib/systemd/system", True)]
)
def test_a_swap_unit_is_masked_where_systemd_lets_it_be(folder: str, masked: bool) -> None:
    stage = Stage(seeds.fit())
    seeds.put(f"{folder}/data.swap", "[Swap]\n")(stage)
    stage.host.enable("data.swap")
    [found] = stage.findings()
    assert (found.name, "mask data.swap" in found.hint) == ("SwapReturns-data.swap", masked)


def test_a_swap_partition_that_systemd_finds_is_told_until_it_is_masked() -> None:
    stage = Stage(seeds.fit())
    seeds.put("/run/systemd/generator.late/dev-vda2.swap", "[Swap]\n")(stage)
    [found] = stage.findings()
    assert (found.name, found.hint) == ("SwapReturns-dev-vda2.swap", "systemctl mask --now dev-vda2.swap")
    stage.host.symlink("/etc/systemd/system/dev-vda2.swap", "/dev/null")
    assert names(stage) == []


def test_an_empty_zram_config_masks_the_distributions() -> None:
    stage = Stage(seeds.fit())
    seeds.put("/usr/lib/systemd/zram-generator.conf", "[zram0]\n")(stage)
    assert names(stage) == ["error:SwapReturns-zram"]
    seeds.put("/etc/systemd/zram-generator.conf", "")(stage)
    assert names(stage) == []


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("/etc/sysctl.d/10-early.conf", "net.ipv4.ip_forward = 0\n", 0),
        ("/etc/sysctl.d/99-zz.conf", "net.ipv4.ip_forward = 1\n", 0),
        ("/etc/sysctl.d/99-zz.conf", "-net.ipv4.ip_forward=0\n", 1),
        ("/etc/sysctl.d/99-zz.conf", "#net.ipv4.ip_forward=0\n", 0),
        ("/etc/sysctl.d/99-zz.conf", "fs.inotify.max_user_watches = 9999999\n", 0),
        ("/etc/sysctl.d/99-zz.conf", "fs.inotify.max_user_watches = 8192\n", 1),
        ("/etc/sysctl.d/99-zz.txt", "net.ipv4.ip_forward=0\n", 0),
    ],
)
def test_only_what_boots_later_and_differs_overrides(path: str, text: str, count: int) -> None:
    stage = Stage(seeds.fit())
    seeds.put(path, text)(stage)
    assert len(names(stage)) == count


def test_in_a_container_the_kernel_and_the_clock_are_anothers() -> None:
    stage = Stage(seeds.fit())
    seeds.put("/run/systemd/container", "docker")(stage)
    stage.host.files.pop(f"/lib/modules/{seeds.KERNEL}/modules.dep")
    stage.host.stop("systemd-timesyncd.service")
    assert names(stage) == []


def test_a_proxy_that_spares_the_cluster_is_no_finding() -> None:
    stage = Stage(seeds.fit())
    stage.environ = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.96.0.0/12,10.244.0.0/16"}
    assert names(stage) == []
    stage.environ = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}
    assert names(stage) == []


def test_a_machine_that_rejoins_is_no_duplicate_of_itself() -> None:
    stage = Stage(seeds.fit())
    itself = preflight.Surroundings(peers=(Machine("cp-1", seeds.MACHINE_ID, addresses=("192.0.2.11",)),))
    stage.role, stage.cluster = "worker", itself
    assert names(stage) == []


def test_one_dead_control_plane_of_three_is_no_reason_to_refuse() -> None:
    stage = Stage(seeds.fit())
    three = tuple((f"192.0.2.{n}", 6443) for n in (21, 22, 23))
    seeds.cluster(control_planes=three)(stage)
    for place in three[:2]:
        stage.host.dialers[place] = seeds.a_socket
    assert names(stage) == ["warning:PeerUnreachable-6443"]


def test_a_machine_of_etcds_own_is_no_even_control_plane() -> None:
    stage = Stage(seeds.fit())
    seeds.cluster("etcd", peers=(Machine("cp-2", control_plane=True),))(stage)
    assert names(stage) == []


def test_a_control_plane_must_reach_etcds_ports_too() -> None:
    stage = Stage(seeds.fit())
    seeds.cluster("control_plane", control_planes=(("192.0.2.21", 6443),))(stage)
    stage.host.dialers[("192.0.2.21", 6443)] = seeds.a_socket
    assert names(stage) == ["error:PeerUnreachable-2379", "error:PeerUnreachable-2380"]


def test_a_control_plane_that_has_just_died_does_not_keep_its_successor_out() -> None:
    stage = Stage(seeds.fit())
    pair = (("192.0.2.21", 6443), ("192.0.2.22", 6443))
    seeds.cluster("control_plane", control_planes=pair)(stage)
    for port in (6443, 2379, 2380):
        stage.host.dialers[("192.0.2.21", port)] = seeds.a_socket
    assert {name.partition(":")[0] for name in names(stage)} == {"warning"}


def test_a_disk_that_cannot_be_measured_is_no_finding() -> None:
    stage = Stage(seeds.fit())
    stage.host.sync = None
    assert names(stage) == []


@pytest.mark.parametrize(
    ("measured", "level"), [((0.2, 0.005), None), ((0.2, 0.3, 0.05), "warning"), ((0.2, 0.3, 0.15), "error")]
)
def test_a_disk_that_is_busy_for_a_moment_is_measured_again(
    measured: tuple[float, ...], level: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(seeds.fit())
    answers = iter(measured)
    monkeypatch.setattr(stage.host, "sync_seconds", lambda path: next(answers))
    assert names(stage) == ([f"{level}:EtcdDisk"] if level else [])
    assert next(answers, None) is None


def test_the_name_of_every_other_installer_is_known() -> None:
    for unit in installers.OTHERS:
        stage = Stage(seeds.fit())
        seeds.run(unit)(stage)
        assert len(names(stage)) == 1, unit


def test_ignoring_demotes_and_the_rest_is_refused_with_every_fix() -> None:
    stage = Stage(seeds.fit())
    seeds.listen(6443)(stage)
    seeds.link("cni0", addresses=("10.244.3.1/24",))(stage)
    some = stage.findings(frozenset({"Port-6443"}))
    assert [f.level for f in some] == ["warning", "error"]
    with pytest.raises(errors.PreflightFailed) as caught:
        preflight.refuse(some)
    assert caught.value.exit_code == 3
    said = caught.value.output or ""
    assert "[ERROR Link-cni0]" in said and "ip link delete cni0" in said and "Port-6443" not in said
    preflight.refuse(stage.findings(frozenset({"all"})))


@pytest.mark.parametrize("told", [True, False])
def test_swap_is_fine_where_the_kubelets_are_told_to_live_with_it(told: bool) -> None:
    stage = Stage(
        seeds.fit(),
        dataclasses.replace(seeds.FIT, swap=("/dev/sda2",)),
        ClusterSpec(kubelet={"failSwapOn": False} if told else {}),
    )
    assert names(stage) == ([] if told else ["error:Swap"])


def test_what_cannot_be_looked_at_hides_nothing_else() -> None:
    class Closed(FakeHost):
        def listeners(self) -> tuple[Listener, ...]:
            raise CommandFailed("permission denied: /proc/net/tcp", host="cp-1")

    stage = Stage(Closed())
    stage.host.__dict__ = {**seeds.fit().__dict__}
    seeds.link("cni0")(stage)
    assert "error:Link-cni0" in names(stage)
    assert "warning:Unchecked-ports" in names(stage)


def test_a_machine_that_is_gone_is_no_finding() -> None:
    stage = Stage(seeds.fit())
    stage.host.unreachable = True
    with pytest.raises(errors.Unreachable):
        stage.findings()
