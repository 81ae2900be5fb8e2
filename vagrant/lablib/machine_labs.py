"""Machines up and down: what `vagrant/lab` does around `vagrant up` and `vagrant destroy`."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kubeboot import errors
from lablib import (
    machine_docker,
    machine_host,
    machine_image,
    machine_share,
    machine_state,
    machine_vagrant,
    machine_vm,
    tools,
)
from lablib.machine_host import say
from lablib.machine_state import Lab, Machine
from lablib.machine_vagrant import CHECKOUT, vagrant


def up(
    name: str,
    control_planes: int,
    workers: int,
    provider: str,
    bundle: Path | None,
    balancers: int = 0,
    etcd: int = 0,
) -> Lab:
    """A lab with at least these machines, all running; what this call made is removed if it fails."""
    started = time.monotonic()
    machine_state.check_name(name)
    if provider == "qemu" and (control_planes, workers) != (1, 0):
        raise errors.UsageProblem(
            "a lab of QEMU is one machine", hint="--control-planes 1 --workers 0, or another --provider"
        )
    with machine_host.docker_in_use(), machine_state.locked(name):
        lab = _load_own(name)
        if provider == "docker" and (lab is None or lab.provider == "docker"):
            _prepare_docker()
        known = lab.machines if lab and lab.ssh_config.exists() else ()
        with _undone_on_failure(name, known):
            lab = _described(lab or _create(name, provider), control_planes, workers, balancers, etcd)
            _refresh(lab, bundle)
            _boot(lab)
    new = len(lab.machines) - len(known)
    say(f"lab `{name}`: {len(lab.machines)} machines, {new} of them new, {time.monotonic() - started:.1f} s")
    return lab


def down(name: str, *, anybodys: bool = False) -> bool:
    """Remove a lab with everything that it has; False if there was nothing."""
    machine_state.check_name(name)
    with machine_state.locked(name, wait=True):
        lab = machine_state.load(name) if anybodys else _load_own(name)
        docker = machine_host.docker_answers()
        traces = machine_docker.labels() if docker else set()
        if lab is None and name not in traces and not machine_state.directory(name).exists():
            return False
        _remove(name, lab, docker)
    say(f"lab `{name}` is gone")
    return True


def _remove(name: str, lab: Lab | None, docker: bool) -> None:
    if lab is not None and lab.provider == "qemu":
        machine_vm.stop(lab)
    elif lab is not None and shutil.which("vagrant"):
        with contextlib.suppress(errors.KubebootError):  # what Vagrant cannot remove, Docker will
            vagrant(lab, "destroy", "--force")
    if docker:
        machine_docker.remove(name)
    shutil.rmtree(machine_state.directory(name), ignore_errors=True)


def all_names() -> list[str]:
    """Every lab of which there is a trace, remembered or only in Docker."""
    traces = machine_docker.labels() if machine_host.docker_answers() else set()
    return sorted(traces | set(machine_state.names()))


def sync(name: str, bundle: Path | None) -> None:
    """Give running machines the checkout's newest kubeboot, and the bundle."""
    with machine_state.locked(name, wait=True):
        _refresh(machine_state.require(name), bundle)


def _refresh(lab: Lab, bundle: Path | None) -> None:
    machine_share.refresh(lab.directory / "share", CHECKOUT, lab.image, bundle)
    if lab.provider not in ("docker", "qemu") and lab.ssh_config.exists():
        vagrant(lab, "rsync")


def _load_own(name: str) -> Lab | None:
    """The lab, unless it is another checkout's: that would lose it, or get this one's code."""
    lab = machine_state.load(name)
    if lab is not None and lab.checkout != str(CHECKOUT) and Path(lab.checkout).is_dir():
        raise errors.Occupied(
            f"the lab `{name}` belongs to {lab.checkout}",
            hint=f"choose another --name, or remove it there: {lab.checkout}/vagrant/lab down --name {name}",
        )
    return lab


def _prepare_docker() -> None:
    tools.need("docker", "vagrant")
    machine_host.ensure_docker()
    machine_host.prepare_kernel()


def _create(name: str, provider: str) -> Lab:
    lab = Lab(name, provider, str(CHECKOUT), subnet="", image="")
    if provider == "docker":
        lab = dataclasses.replace(lab, image=machine_image.ensure())
        machine_docker.remove(name)  # what an ended run may have left
        with machine_state.locked(machine_state.SUBNETS, wait=True):
            subnets = machine_state.free_subnets(machine_docker.taken_subnets())
            lab = dataclasses.replace(lab, subnet=machine_docker.create_network(lab.prefix, name, subnets))
            machine_state.save(lab)
        return lab
    with machine_state.locked(machine_state.SUBNETS, wait=True):
        labs = (machine_state.load(other) for other in machine_state.names())
        lab = dataclasses.replace(lab, subnet=next(machine_state.free_subnets(o.subnet for o in labs if o)))
        machine_state.save(lab)
    return lab


def _described(lab: Lab, control_planes: int, workers: int, balancers: int, etcd: int = 0) -> Lab:
    """The lab with the machines that are asked for, and those that it has."""
    wanted = machine_state.layout(lab.subnet, control_planes, workers, balancers, etcd)
    have = {m.name for m in wanted}
    machines = (*wanted, *(m for m in lab.machines if m.name not in have))
    numbered = sorted(machines, key=lambda m: (m.role, len(m.name), m.name))
    lab = dataclasses.replace(lab, machines=tuple(numbered))
    machine_state.save(lab)
    return lab


def _boot(lab: Lab) -> None:
    """Start what does not run, in parallel, and note how to reach everything."""
    if lab.provider == "qemu":
        machine_vm.boot(lab)
        return
    if lab.ssh_config.exists() and lab.provider == "docker" and _all_running(lab):
        return
    machine_vagrant.write_vagrantfile(lab)
    machine_vagrant.up(lab)
    machine_vagrant.note_ssh_config(lab)


def _all_running(lab: Lab) -> bool:
    return set(machine_docker.running(lab.name)) == {f"{lab.prefix}-{m.name}" for m in lab.machines}


@contextlib.contextmanager
def _undone_on_failure(name: str, known: tuple[Machine, ...]) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except BaseException:
        say("that failed: removing what was made")
        _undo(name, known)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _undo(name: str, known: tuple[Machine, ...]) -> None:
    lab = machine_state.load(name)
    if lab is None or not known:
        _remove(name, lab, machine_host.docker_answers())
        return
    if doomed := [m.name for m in lab.machines if m not in known]:
        with contextlib.suppress(errors.KubebootError):
            vagrant(lab, "destroy", "--force", *doomed)
    if lab.provider == "docker":
        machine_docker.remove(name, frozenset(f"{lab.prefix}-{m.name}" for m in known))
    machine_state.save(dataclasses.replace(lab, machines=known))
