"""What changes behind kubeboot's back: a dry run names all that a rerun then does, restarts too."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

import pytest

from kubeboot.engine.plan import Plan
from kubeboot.pki import build
from kubeboot.steps import backends, haproxy, load_balancer
from kubeboot.steps.static_pod import MANIFESTS
from tests.fakes.entries import File
from tests.fakes.world import World
from tests.sim.commands import INIT, after, init_plan
from tests.sim.drift_support import announced, look, rerun

UNITS = {"kubelet/service": "kubelet.service", "runtime/service": "containerd.service"}
PODS = {
    load_balancer.MANIFEST: "haproxy",
    **{
        f"control-plane/{name}": name
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
}
OWN = b"    server 192.0.2.11:6443 192.0.2.11:6443\n"
Change = Callable[[World], None]


def edit(path: str, more: bytes = b"# by hand\n") -> Change:
    def act(world: World) -> None:
        file = world.host.files[path]
        world.host.files[path] = dataclasses.replace(file, data=file.data + more)

    return act


def delete(path: str) -> Change:
    return lambda world: (world.host.files.pop(path, None) or world.host.symlinks.pop(path)) and None


def mode(path: str, bits: int) -> Change:
    def act(world: World) -> None:
        world.host.files[path] = dataclasses.replace(world.host.files[path], mode=bits)

    return act


def stop(unit: str) -> Change:
    return lambda world: world.host.systemd.stop(unit)


def disable(unit: str) -> Change:
    return lambda world: world.host.systemd.enable(unit, enabled=False)


def old_settings(unit: str) -> Change:
    """The process was started before the present files were written."""

    def act(world: World) -> None:
        found = world.host.systemd.units[unit]
        old = {**found.environment, "KUBEBOOT_INPUTS": "of another time"}
        world.host.systemd.units[unit] = dataclasses.replace(found, environment=old)

    return act


def replaced(path: str) -> Change:
    return lambda world: world.host.files.update({path: File(b"another binary", 0o755)})


def instead(path: str, old: bytes, new: bytes) -> Change:
    def act(world: World) -> None:
        file = world.host.files[path]
        assert old in file.data
        world.host.files[path] = dataclasses.replace(file, data=file.data.replace(old, new))

    return act


def both(*changes: Change) -> Change:
    return lambda world: [change(world) for change in changes] and None


def reread(path: str) -> Change:
    """Edited, and systemd has read it."""
    return both(edit(path, b"Description=by hand\n"), lambda world: world.host.systemd.reload())


def sysctl(key: str, value: str) -> Change:
    return lambda world: world.host.sysctls.update({key: value})


def processes(world: World) -> dict[str, object]:
    """What tells one process from the one that it was before: units' pids, static pods' manifests."""
    pids = {step: world.host.unit(unit).pid for step, unit in UNITS.items()}
    pods = {name: world.host.read(f"{MANIFESTS}/{name}") for name in world.host.listdir(MANIFESTS)}
    return {**pids, **pods}


KUBELET, RUNTIME = "kubelet/service", "runtime/service"
DRIFTS: dict[str, tuple[Change, set[str]]] = {
    "a manifest edited": (edit(f"{MANIFESTS}/kube-scheduler.yaml"), {"control-plane/kube-scheduler"}),
    "a manifest deleted": (delete(f"{MANIFESTS}/kube-scheduler.yaml"), set()),
    "a manifest's mode": (mode(f"{MANIFESTS}/kube-scheduler.yaml", 0o644), set()),
    "a key's mode": (mode("/etc/kubernetes/pki/sa.key", 0o644), set()),
    "a kubeconfig's mode": (mode("/etc/kubernetes/scheduler.conf", 0o644), set()),
    "the kubelet stopped": (stop("kubelet.service"), set()),
    "containerd stopped": (stop("containerd.service"), set()),
    "the kubelet disabled": (disable("kubelet.service"), set()),
    "the kubelet with old settings": (old_settings("kubelet.service"), {KUBELET}),
    "containerd with old settings": (old_settings("containerd.service"), {RUNTIME}),
    "the kubelet's config edited": (edit("/var/lib/kubelet/config.yaml"), {KUBELET}),
    "the kubelet's config deleted": (delete("/var/lib/kubelet/config.yaml"), {KUBELET}),
    "the kubelet's config's mode": (mode("/var/lib/kubelet/config.yaml", 0o666), set()),
    "the kubelet's flags edited": (edit("/var/lib/kubelet/kubeadm-flags.env"), {KUBELET}),
    "the kubelet's unit edited": (edit("/etc/systemd/system/kubelet.service"), {KUBELET}),
    "the kubelet replaced": (replaced("/usr/local/bin/kubelet"), {KUBELET}),
    "its certificate gone": (delete("/var/lib/kubelet/pki/kubelet-client-current.pem"), {KUBELET}),
    "kubelet.conf edited": (edit("/etc/kubernetes/kubelet.conf", b"users: []\n"), {KUBELET}),
    "containerd's config edited": (edit("/etc/containerd/config.toml"), {RUNTIME}),
    "containerd's unit edited": (edit("/etc/systemd/system/containerd.service"), {RUNTIME}),
    "runc replaced": (replaced("/usr/local/bin/runc"), set()),
    "a sysctl": (sysctl("net.ipv4.ip_forward", "0"), set()),
    "haproxy's base edited": (edit(haproxy.BASE), set()),
    "haproxy's base deleted": (delete(haproxy.BASE), set()),
    "haproxy's base's mode": (mode(haproxy.BASE, 0o600), set()),
    "haproxy's config's mode": (mode(haproxy.CONFIG, 0o600), set()),
    "the authority's key's mode": (mode("/etc/kubernetes/pki/ca.key", 0o644), set()),
    "haproxy's config edited": (edit(haproxy.CONFIG), set()),
    "haproxy's config deleted": (delete(haproxy.CONFIG), set()),
    "haproxy's servers disabled": (edit(haproxy.CONFIG, b" disabled\n"), set()),
    "haproxy without servers": (instead(haproxy.CONFIG, OWN, b""), set()),
    "haproxy with a server's name alone": (edit(haproxy.CONFIG, b"    server x\n"), set()),
    "haproxy's own server as a backup": (edit(haproxy.CONFIG, OWN[:-1] + b" backup\n"), set()),
    "haproxy's base and config edited": (both(edit(haproxy.BASE), edit(haproxy.CONFIG)), set()),
    "haproxy's manifest edited": (edit(f"{MANIFESTS}/haproxy.yaml"), {load_balancer.MANIFEST}),
    "haproxy's manifest deleted": (delete(f"{MANIFESTS}/haproxy.yaml"), set()),
    "haproxy's timer stopped": (stop(backends.TIMER), set()),
    "haproxy's timer disabled": (disable(backends.TIMER), set()),
    "haproxy's timer edited": (reread(f"/etc/systemd/system/{backends.TIMER}"), set()),
    "haproxy's timer's service edited": (reread(f"/etc/systemd/system/{backends.SERVICE}"), set()),
    "haproxy's timer's script deleted": (delete(backends.SCRIPT), set()),
    "haproxy's timer's script edited": (edit(backends.SCRIPT), set()),
    "haproxy's timer's script's mode": (mode(backends.SCRIPT, 0o644), set()),
}


def restarted(step: str, before: dict[str, object], now: dict[str, object]) -> bool:
    name = step if step in UNITS else f"{PODS.get(step, step).rpartition('/')[2]}.yaml"
    return before[name] != now[name]


def test_after_a_clean_run_a_dry_run_names_nothing() -> None:
    world = after(INIT)()
    assert look(world, init_plan(world)) == {}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_dry_run_names_what_the_rerun_does(name: str) -> None:
    change, restarts = DRIFTS[name]
    world, plan = after(INIT)(), INIT.steps
    change(world)
    before = processes(world)
    said = look(world, plan)
    assert said, "the drift is seen"
    assert announced(said) == restarts
    done = rerun(world, plan)
    assert set(done) == set(said), "no more and no less than what was announced"
    now = processes(world)
    assert all(restarted(step, before, now) for step in restarts)
    others = [step for step in (*UNITS, *PODS) if step not in said]
    assert not any(restarted(step, before, now) for step in others), "nothing else was restarted"
    assert look(world, plan) == {}, "and then nothing is left"


def later(plan: Plan, days: int) -> Plan:
    """The plan of a run so many days from now."""

    def clock() -> datetime.datetime:
        return build.now() + datetime.timedelta(days=days)

    steps = [dataclasses.replace(s, clock=clock) if hasattr(s, "clock") else s for s in plan.steps]
    return dataclasses.replace(plan, steps=tuple(steps))


def test_certificates_that_end_are_announced_with_every_restart_that_their_mending_brings() -> None:
    world = after(INIT)()
    plan = later(init_plan(world), 400)
    said = look(world, plan)
    assert announced(said) == {
        KUBELET,
        "control-plane/kube-controller-manager",
        "control-plane/kube-scheduler",
    }
    assert said[KUBELET].summary == "restart, because of kubelet/client-certificate"
    before = processes(world)
    done = rerun(world, plan)
    assert set(done) == set(said)
    assert all(restarted(step, before, processes(world)) for step in announced(said))
    assert look(world, plan) == {}


def test_a_mended_haproxy_config_is_read_by_whatever_read_the_other() -> None:
    world = after(INIT)()
    world.host.write(load_balancer.LOADED, b"of the good one\n")
    edit(haproxy.CONFIG)(world)
    rerun(world, init_plan(world))
    assert world.host.stat(load_balancer.LOADED) is None, "the next look reloads, whatever was loaded"
    assert world.host.unit(backends.SERVICE).active == "active", "and that is now"


def test_a_kill_between_mending_a_file_and_starting_its_reader_is_no_harm() -> None:
    world = after(INIT)()
    plan = init_plan(world)
    edit("/var/lib/kubelet/config.yaml")(world)
    before = processes(world)
    world.host.fail_at("/var/lib/kubelet/config.yaml")
    with pytest.raises(AssertionError):
        rerun(world, plan)
    world.host.faults.clear()
    assert rerun(world, plan) and look(world, plan) == {}
    assert restarted(KUBELET, before, processes(world))
