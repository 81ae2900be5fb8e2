"""Kernel, containerd, images and kubelet together, through the real engine, on a machine in memory."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from kubeboot import errors, render
from kubeboot.config.machines import NodeOptions
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal as journals
from kubeboot.engine.events import Event, StepFinished, StepStarted
from kubeboot.engine.inspect import inspect
from kubeboot.engine.journal import Journal
from kubeboot.engine.plan import Plan, edges
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Step, Target
from kubeboot.engine.tally import Outcome
from kubeboot.host.model import Mount
from kubeboot.kube.api import NoApi
from kubeboot.plan import reset
from kubeboot.steps import artifacts, basic, images, kernel, kubelet, runtime, trees
from kubeboot.steps.kubelet import settings as kubelet_config
from tests.fakes.entries import Dir, File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
WORKER = dataclasses.replace(NODE, role="worker")
SPEC = ClusterSpec()
OTHERS = ("kubeconfig/kubelet", "kubelet/client-certificate", "etcd/manifest")


def steps(source: FakeSource, node: NodeSettings = NODE, spec: ClusterSpec = SPEC) -> tuple[Step, ...]:
    """All steps of this room's modules; two files stand for what other modules bring."""
    catalog = source.catalog()
    return (
        *trees.steps(node.name),
        *artifacts.steps(node, catalog, source),
        *kernel.steps(spec, node),
        *runtime.steps(node, catalog, source),
        *images.steps(spec, node, catalog, source),
        *(
            stand_in(step_id)
            for step_id in ("kubeconfig/kubelet", "kubelet/client-certificate", "etcd/manifest")
        ),
        *kubelet.steps(spec, node, catalog, source, shared(spec), frozenset({"etcd/manifest"})),
    )


def shared(spec: ClusterSpec) -> str:
    return render.dump(kubelet_config.kubelet_config(spec))


def stand_in(step_id: str) -> Step:
    path = f"/etc/kubernetes/{step_id.replace('/', '-')}"
    return basic.EnsureFile(
        id=step_id, title=step_id, on="cp-1", after=frozenset({"trees/"}), path=path, data=b"x"
    )


def plan(*made: Step) -> Plan:
    return Plan("test", "a test", made, {"cp-1": "control_plane"})


def go(host: FakeHost, source: FakeSource, node: NodeSettings = NODE, spec: ClusterSpec = SPEC) -> Outcome:
    journal = Journal(host)
    journal.begin("test")
    return run(
        plan(*steps(source, node, spec)), {"cp-1": Site(Target(host, NoApi()), journal)}, lambda e: None
    )


def take_off(host: FakeHost) -> None:
    class Nothing:
        def intend(self, step: str, changes: tuple[object, ...]) -> None: ...

    made = reset.plan("cp-1", journals.undo_list(host))
    run(made, {"cp-1": Site(Target(host, NoApi()), Nothing())}, lambda e: None).raise_for_failure()


def foreign_changes(host: FakeHost) -> list[tuple[str, str]]:
    return [change for change in host.changes if not change.subject.startswith(journals.HOME)]


@pytest.mark.parametrize("node", [NODE, WORKER], ids=lambda n: n.role)
def test_an_empty_machine_becomes_a_node_and_a_second_run_changes_nothing(node: NodeSettings) -> None:
    host, source = FakeHost(), FakeSource()
    go(host, source, node).raise_for_failure()
    assert host.unit("containerd.service").enabled
    assert host.unit("kubelet.service").active == "active"
    assert host.sysctls["net.ipv4.ip_forward"] == "1"
    pids = host.unit("containerd.service").pid, host.unit("kubelet.service").pid
    host.changes.clear()
    again = go(host, source, node)
    assert (again.changed, again.failures) == (0, ())
    assert foreign_changes(host) == []
    assert pids == (host.unit("containerd.service").pid, host.unit("kubelet.service").pid)
    assert source.verified == 1


def test_a_worker_gets_only_what_it_runs() -> None:
    host = FakeHost()
    go(host, FakeSource(), WORKER).raise_for_failure()
    found = {name.removeprefix("registry.k8s.io/").removesuffix(":1.0") for name in host.image_table}
    assert found == {*images.WORKER, "httpd"}


def test_only_what_the_cluster_needs_is_pinned() -> None:
    host = FakeHost()
    go(host, FakeSource()).raise_for_failure()
    assert [image.name for image in host.image_table.values() if not image.pinned] == [
        "registry.k8s.io/httpd:1.0"
    ]


def test_an_image_that_the_source_lacks_is_a_plain_error() -> None:
    catalog = FakeSource().catalog()
    short = dataclasses.replace(catalog, images=tuple(i for i in catalog.images if i.component != "pause"))
    with pytest.raises(KeyError, match="pause"):
        images.steps(SPEC, NODE, short, FakeSource())


def test_a_dry_run_knows_every_step_and_changes_nothing() -> None:
    host, events = FakeHost(), list[Event]()
    made = plan(*steps(FakeSource()))
    before = host.snapshot(ignore=())
    assert not inspect(made, {"cp-1": Target(host, NoApi()).see}, events.append)
    states = {e.step: e.state for e in events if isinstance(e, StepFinished)}
    assert len(states) == len(made.steps)
    assert "blocked" not in states.values()
    assert {s for s in states.values() if s == "later"} == {"later"}
    assert states["kernel/sysctl-net.bridge.bridge-nf-call-iptables"] == "later"
    assert states["images/pause"] == "later"
    assert states["kubelet/service"] == "drift"
    assert host.snapshot(ignore=()) == before


def test_reset_leaves_nothing() -> None:
    host = FakeHost()
    before = host.snapshot(ignore=())
    go(host, FakeSource()).raise_for_failure()
    take_off(host)
    after = host.snapshot(ignore=())
    assert {key: after["sysctls"][key] for key in before["sysctls"]} == before["sysctls"]
    # modules stay loaded, with the settings that they brought; images go with containerd's directory
    for key in ("modules", "images", "sysctls"):
        del before[key], after[key]
    assert after == before


def test_reset_empties_the_directories_that_are_mounts_of_their_own() -> None:
    host = FakeHost()
    for path in ("/var/lib/containerd", "/var/lib/kubelet"):
        host.dirs[path] = Dir()
        host.mount_table.append(Mount(f"volume{path}", path, "ext4"))
    before = host.snapshot(ignore=())["dirs"]
    go(host, FakeSource()).raise_for_failure()
    host.files["/var/lib/containerd/meta.db"] = File(b"1")
    take_off(host)
    assert host.snapshot(ignore=())["dirs"] == before
    assert not [path for path in host.files if path.startswith("/var/lib/")]


def test_reset_gives_a_distributions_containerd_back() -> None:
    host = FakeHost()
    host.dirs["/etc/containerd"] = Dir()
    host.files |= {
        "/usr/lib/systemd/system/containerd.service": File(b"[Service]\nEnvironment=OWNER=distro\n"),
        "/etc/containerd/config.toml": File(b'disabled_plugins = ["cri"]\n'),
    }
    host.systemd.start("containerd.service")
    go(host, FakeSource()).raise_for_failure()
    assert b"disabled_plugins" not in host.files["/etc/containerd/config.toml"].data
    assert "OWNER" not in host.unit("containerd.service").environment
    take_off(host)
    assert host.unit("containerd.service").environment == {"OWNER": "distro"}
    assert host.files["/etc/containerd/config.toml"].data == b'disabled_plugins = ["cri"]\n'


def writes() -> int:
    host = FakeHost()
    go(host, FakeSource()).raise_for_failure()
    return len(host.changes)


@pytest.mark.parametrize("after", [False, True], ids=["instead of", "right after"])
def test_killed_at_any_write_the_next_run_finishes(after: bool) -> None:
    clean = FakeHost()
    go(clean, FakeSource()).raise_for_failure()
    for number in range(2, writes() + 1, 3):
        host = FakeHost()
        host.fail_at(number, errors.Unreachable("the connection is gone"), after)
        with contextlib.suppress(errors.Unreachable):  # raised at the journal's own first lines
            go(host, FakeSource())
        host.faults.clear()
        go(host, FakeSource()).raise_for_failure()
        assert host.snapshot() == clean.snapshot(), number


OTHER_DOMAIN = ClusterSpec(networking=SPEC.networking.model_copy(update={"dns_domain": "k.local"}))
CHANGES = {
    "containerd's config": ("containerd.service", dataclasses.replace(NODE, may_lower_oom_score=False), SPEC),
    "the cluster's domain": ("kubelet.service", NODE, OTHER_DOMAIN),
    "a label": ("kubelet.service", dataclasses.replace(NODE, labels=(("disk", "ssd"),)), SPEC),
    "the resolver": ("kubelet.service", dataclasses.replace(NODE, resolv_conf="/run/r.conf"), SPEC),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_restarts_the_one_service_that_reads_it(case: str) -> None:
    unit, node, spec = CHANGES[case]
    host, source = FakeHost(), FakeSource()
    go(host, source).raise_for_failure()
    pids = {name: host.unit(name).pid for name in ("containerd.service", "kubelet.service")}
    go(host, source, node, spec).raise_for_failure()
    changed = [name for name, pid in pids.items() if host.unit(name).pid != pid]
    assert changed == [unit]


def test_new_binaries_restart_both_services() -> None:
    host = FakeHost()
    go(host, FakeSource()).raise_for_failure()
    pids = [host.unit(name).pid for name in ("containerd.service", "kubelet.service")]
    go(host, FakeSource("newer")).raise_for_failure()
    assert not {host.unit(name).pid for name in ("containerd.service", "kubelet.service")} & {*pids}
    assert host.files["/opt/cni/bin/bridge"].data == b"cni-bridge 1.0 newer"


def test_nothing_is_installed_from_a_source_that_fails_its_check() -> None:
    host, source = FakeHost(), FakeSource()
    source.broken = "blobs/kubelet"
    outcome = go(host, source)
    assert [f.reason for f in outcome.failures] == ["KB_ARTIFACT"]
    assert not [path for path in host.files if path.startswith(("/usr/local/bin/", "/opt/"))]
    assert artifacts.STAMP not in host.files
    source.broken = None
    go(host, source).raise_for_failure()


def test_a_changed_source_is_verified_again() -> None:
    host = FakeHost()
    go(host, FakeSource()).raise_for_failure()
    other = FakeSource("newer")
    go(host, other).raise_for_failure()
    assert other.verified == 1


def test_a_container_that_may_not_set_conntrack_does_without() -> None:
    host = FakeHost()
    host.sysctls["net.netfilter.nf_conntrack_max"] = "262144"
    go(host, FakeSource()).raise_for_failure()
    assert ("set_sysctl", "net.netfilter.nf_conntrack_max") not in host.changes


def test_larger_limits_of_the_administrators_are_left_alone() -> None:
    host = FakeHost()
    host.sysctls["fs.inotify.max_user_instances"] = "65536"
    go(host, FakeSource()).raise_for_failure()
    assert host.sysctls["fs.inotify.max_user_instances"] == "65536"
    assert "fs.inotify" not in host.files[kernel.SYSCTL_FILE].data.decode()


def test_the_resolver_file_is_written_where_it_is_ours() -> None:
    own = dataclasses.replace(NODE, resolv_conf="/etc/kubernetes/resolv.conf", nameservers=("192.0.2.53",))
    host = FakeHost()
    go(host, FakeSource(), own).raise_for_failure()
    assert host.files["/etc/kubernetes/resolv.conf"].data == b"nameserver 192.0.2.53\n"


def test_the_kubelet_starts_after_all_that_it_reads() -> None:
    made = plan(*steps(FakeSource()))
    before = edges(made)["cp-1", "kubelet/service"]
    ids = {step_id for _, step_id in before}
    missing = {
        *("runtime/service", "runtime/cni-bridge", "kubelet/enabled", "kernel/sysctl-net.ipv4.ip_forward"),
        *("kubelet/binary", "kubelet/config", "kubelet/flags", "kubelet/inputs", "kubelet/node-config"),
        *("kubelet/unit", "kubelet/unit-kubeadm", *OTHERS),
    } - ids
    assert not missing
    assert "images/coredns" not in ids


def test_images_that_others_wait_for_come_first_and_few_at_a_time() -> None:
    host = FakeHost()
    events: list[Event] = []
    journal = Journal(host)
    journal.begin("test")
    waits_for_apiserver = dataclasses.replace(
        stand_in("etcd/manifest"), after=frozenset({"images/kube-apiserver"})
    )
    made = plan(*(s for s in steps(FakeSource()) if s.id != "etcd/manifest"), waits_for_apiserver)
    run(made, {"cp-1": Site(Target(host, NoApi()), journal)}, events.append).raise_for_failure()
    running, most, order = 0, 0, []
    for event in events:
        if getattr(event, "step", "").startswith("images/"):
            running += 1 if isinstance(event, StepStarted) else -1
            most = max(most, running)
            order += [event.step.removeprefix("images/")] if isinstance(event, StepStarted) else []
    assert most == images.LANES
    assert order[0] == "look"
    assert order[1] == "kube-apiserver"


def test_lanes_carry_about_the_same() -> None:
    catalog = FakeSource().catalog()
    sized = [dataclasses.replace(i, size=n * 10**8) for n, i in enumerate(catalog.images, 1)]
    lane = images.lanes(sized)
    loads = [sum(i.size for i in sized if lane[i.component] == slot) for slot in {*lane.values()}]
    assert len(loads) == images.LANES
    assert max(loads) - min(loads) <= 10**9


def test_a_users_labels_reach_the_kubelet_unless_it_would_refuse_them() -> None:
    labels = {"disk": "ssd", "node-role.kubernetes.io/db": "", "topology.kubernetes.io/zone": "a"}
    assert ClusterSpec(node=NodeOptions(labels=labels)).node.labels == labels
    host = FakeHost()
    go(host, FakeSource(), dataclasses.replace(NODE, labels=tuple(labels.items()))).raise_for_failure()
    flags = host.files[kubelet.FLAGS].data.decode()
    assert "--node-labels=kubeboot.io/local-lb=static,disk=ssd,topology.kubernetes.io/zone=a" in flags
