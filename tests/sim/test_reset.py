"""Taking kubeboot off a machine in memory: everything back, everything tried, what is foreign left alone."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.engine import journal as journals
from kubeboot.engine import undo as undos
from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.journal import Journal
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Drift, Ok, Step, Target
from kubeboot.engine.tally import Outcome
from kubeboot.engine.undo import (
    DeleteObject,
    EmptyTree,
    RemoveImage,
    RemovePath,
    RemoveTree,
    RestoreFile,
    RestoreLink,
    RestoreMode,
    RestoreSysctl,
    RestoreUnit,
    Undo,
)
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Container, Link, Mount, Process
from kubeboot.kube.api import NoApi
from kubeboot.plan import reset
from kubeboot.steps import sweep, trees, undoing, virtual_ip
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

EVERY: tuple[Undo, ...] = (
    RemovePath("/etc/a"),
    RestoreFile("/etc/b", "0" * 64, 0o600, "root:root"),
    RestoreLink("/etc/c", "b"),
    RestoreMode("/etc/d", 0o640, "root:root"),
    RemoveTree("/var/lib/e"),
    EmptyTree("/var/lib/f"),
    RestoreUnit("g.service", active=True, enabled=False),
    RestoreSysctl("net.ipv4.ip_forward", "0"),
    RemoveImage("h:1"),
    DeleteObject("v1", "Node", "i"),
)


def journalled(host: FakeHost, *changes: Undo) -> None:
    journal = Journal(host)
    journal.begin("test")
    for number, change in enumerate(changes):
        journal.intend(f"step/{number}", (change,))


def go(host: FakeHost) -> tuple[Outcome, list[str]]:
    plan = reset.plan("cp-1", journals.undo_list(host))
    events: list[Event] = []

    class Nothing:
        def intend(self, step: str, changes: tuple[Undo, ...]) -> None:
            assert changes == ()

    outcome = run(plan, {"cp-1": Site(Target(host, NoApi()), Nothing())}, events.append)
    return outcome, [f"{e.step} {e.state}" for e in events if isinstance(e, StepFinished)]


@pytest.mark.parametrize("undo", EVERY, ids=lambda u: type(u).__name__)
def test_every_undo_survives_the_journal_and_can_be_described(undo: Undo) -> None:
    assert undos.decode(undos.encode(undo)) == undo
    assert undos.subject(undo)
    assert undoing.describe(undo)


def test_an_unknown_undo_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown undo"):
        undos.decode({"undo": "FormatDisk"})


def test_reset_restores_what_was_there_and_forgets_the_journal() -> None:
    host = FakeHost()
    host.write("/etc/old", b"before", 0o640)
    before = host.snapshot()
    digest = host.sha256("/etc/old") or ""
    journalled(host, RestoreFile("/etc/old", digest, 0o640, "root:root"), RemovePath("/etc/new"))
    host.write("/etc/old", b"after", 0o600)
    host.write("/etc/new", b"new")
    outcome, _ = go(host)
    assert outcome.failures == ()
    assert host.snapshot() == before


@pytest.mark.parametrize(("saved", "said"), [(None, "missing"), (b"old conf", "damaged")])
def test_saved_bytes_that_are_gone_are_told_with_what_to_do_and_nothing_is_written(
    saved: bytes | None, said: str
) -> None:
    host = FakeHost()
    host.write("/etc/old", b"old config")
    digest = host.sha256("/etc/old") or ""
    journalled(host, RestoreFile("/etc/old", digest, 0o644, "root:root"))
    host.write("/etc/old", b"ours")
    host.remove(f"{journals.BEFORE}/{digest}")
    if saved is not None:
        host.write(f"{journals.BEFORE}/{digest}", saved)
    with pytest.raises(errors.KubebootError, match=f"are {said}") as caught:
        undoing.perform(RestoreFile("/etc/old", digest, 0o644, "root:root"), Target(host, NoApi()))
    assert f"sed -i /{digest}/d /var/lib/kubeboot/journal.jsonl" in (caught.value.hint or "")
    assert host.read("/etc/old") == b"ours"


def test_a_second_reset_has_nothing_to_do() -> None:
    host = FakeHost()
    journalled(host, RemovePath("/etc/new"))
    go(host)
    assert reset.plan("cp-1", journals.undo_list(host)).steps == ()


def test_a_disk_of_etcd_s_own_is_emptied_and_keeps_what_is_the_file_system_s() -> None:
    host = FakeHost()
    host.mkdir("/var/lib/etcd/lost+found")
    before = host.snapshot()
    journalled(host, *trees.tree_undo(Target(host, NoApi()).see, "/var/lib/etcd"))
    host.write("/var/lib/etcd/member/wal/0.wal", b"log")
    outcome, _ = go(host)
    assert outcome.failures == ()
    assert host.snapshot() == before


def test_the_journal_may_have_a_disk_of_its_own() -> None:
    host = FakeHost()
    host.mkdir("/var/lib/kubeboot", 0o755)
    host.mkdir("/var/lib/kubeboot/lost+found")
    host.mount_table = [Mount("/dev/sdb", "/var/lib/kubeboot", "ext4")]
    before = host.snapshot()
    journalled(host, RemovePath("/etc/new"))
    host.write("/etc/new", b"new")
    outcome, _ = go(host)
    assert outcome.failures == ()
    assert host.snapshot() == before
    assert reset.plan("cp-1", journals.undo_list(host), reset.touched(host)).steps == ()


def test_one_undo_that_fails_stops_no_other_and_keeps_the_journal() -> None:
    host = FakeHost()
    journalled(host, RemovePath("/etc/first"), RemovePath("/etc/second"))
    host.write("/etc/first", b"")
    host.write("/etc/second", b"")
    host.fail_at("/etc/second", errors.KubebootError("busy"))
    outcome, states = go(host)
    assert [f.message for f in outcome.failures] == ["busy"]
    assert host.stat("/etc/first") is None
    assert "reset/journal skipped" in states
    assert journals.undo_list(host) != ()


def test_the_sweep_takes_ours_and_leaves_theirs() -> None:
    host = FakeHost()
    host.mount_table = [
        Mount("tmpfs", "/var/lib/kubelet/pods/x", "tmpfs"),
        Mount("/dev/sdb", "/data", "ext4"),
    ]
    host.link_table = {name: Link(name) for name in ("cni0", "flannel.1", "eth0")}
    host.nft = [("ip", "kube-proxy"), ("inet", "firewall")]
    host.mkdir("/sys/fs/cgroup/cpuset/kubepods.slice/pod1")
    do = Target(host, NoApi())
    for step in sweep.steps("cp-1"):
        if step.check(do.see, Values()) != Ok():
            step.apply(do, Values())
        assert step.check(do.see, Values()) == Ok()
    assert host.listdir("/sys/fs/cgroup/cpuset") == ()
    assert [m.point for m in host.mounts()] == ["/data"]
    assert [link.name for link in host.links()] == ["eth0"]
    assert host.nft_tables() == (("inet", "firewall"),)


def pods(host: FakeHost, *names: str) -> None:
    host.write("/etc/systemd/system/containerd.service", b"[Service]\nExecStart=/bin/true\n")
    host.daemon_reload()
    host.start("containerd.service")
    host.container_table = {n: Container(n, "pause", pod=n, sandbox=n == "sandbox") for n in names}


def sweeping(step_id: str) -> Step:
    return next(step for step in sweep.steps("cp-1") if step.id == step_id)


def test_every_pod_s_container_goes_though_a_shim_dies_meanwhile() -> None:
    host = FakeHost()
    pods(host, "sandbox", "a", "b")
    host.fail_at("a", CommandFailed("ttrpc: closed"), after=True)
    step = sweeping("sweep/pods")
    step.apply(Target(host, NoApi()), Values())
    assert host.container_table == {}


def test_a_shim_without_a_container_is_ended_and_somebody_else_s_is_not() -> None:
    host = FakeHost()
    ours = ("/usr/local/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "x")
    theirs = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "y")
    host.process_table |= {
        7: Process(7, "containerd-shim", "", ours),
        8: Process(8, "containerd-shim", "", theirs),
    }
    do = Target(host, NoApi())
    step = sweeping("sweep/shims")
    assert step.check(do.see, Values()) == Drift("end 1 containerd-shim processes", "remove")
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()
    assert 8 in host.process_table


def test_the_virtual_address_goes_with_its_keepalived_and_somebody_else_s_stays() -> None:
    host, node = FakeHost(), NodeSettings("cp-1", "192.0.2.11", "control_plane", interface="eth1")
    balancer = LoadBalancer(virtual_ip=VirtualIp(address="192.0.2.100"))
    host.write(virtual_ip.CONFIG, virtual_ip.config(ClusterSpec(load_balancer=balancer), node).encode())
    addresses = ("192.0.2.11/24", "192.0.2.100/32", "192.0.2.101/32")
    host.link_table["eth1"] = Link("eth1", addresses=addresses)
    ours = ("keepalived", f"--use-file={virtual_ip.CONFIG}")
    host.process_table |= {7: Process(7, "keepalived", "", ours), 8: Process(8, "keepalived")}
    do, step = Target(host, NoApi()), sweeping("sweep/virtual-ip")
    assert step.check(do.see, Values()) == Drift("give up 192.0.2.100", "remove")
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()
    assert host.link_table["eth1"].addresses == ("192.0.2.11/24", "192.0.2.101/32")
    assert 8 in host.process_table and 7 not in host.process_table


def test_a_container_that_cannot_be_removed_is_told_and_the_others_go() -> None:
    host = FakeHost()
    pods(host, "sandbox", "a", "b")
    host.fail_at("a", CommandFailed("device busy"))
    with pytest.raises(CommandFailed, match="device busy"):
        sweeping("sweep/pods").apply(Target(host, NoApi()), Values())
    assert set(host.container_table) == {"a"}


def test_a_tree_is_ours_only_if_nobody_filled_it_before() -> None:
    host = FakeHost()
    host.mkdir("/var/lib/empty")
    host.mkdir("/var/lib/full")
    host.write("/var/lib/full/theirs", b"")
    see = Target(host, NoApi()).see
    assert trees.tree_undo(see, "/var/lib/none") == (RemoveTree("/var/lib/none"),)
    modes = {path: RestoreMode(path, 0o755, "0:0") for path in ("/var/lib/empty", "/var/lib/full")}
    assert trees.tree_undo(see, "/var/lib/empty") == (EmptyTree("/var/lib/empty"), modes["/var/lib/empty"])
    assert trees.tree_undo(see, "/var/lib/full") == (modes["/var/lib/full"],)


def test_a_tree_step_keeps_the_contract() -> None:
    converges(trees.steps("cp-1", ("/var/lib/cni",))[0], FakeHost())


def test_containers_are_asked_for_only_where_containerd_runs() -> None:
    host = FakeHost()
    host.container_table = {"1": Container("1", "pause", pod="p", sandbox=True)}
    assert sweep.steps("cp-1")[1].check(Target(host, NoApi()).see, Values()) == Ok()
