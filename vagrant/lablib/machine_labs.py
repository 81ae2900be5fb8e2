"""Machines up and down: what `vagrant/lab` does around `vagrant up` and `vagrant destroy`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from kubeboot import errors
from kubeboot.host import ssh
from lablib import machine_docker, machine_host, machine_image, machine_share, machine_state, tools
from lablib.machine_host import say
from lablib.machine_state import Lab, Machine

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_READY = re.compile(r"(\S+): Machine booted and ready")


def up(name: str, control_planes: int, workers: int, provider: str, bundle: Path | None) -> Lab:
    """A lab with at least these machines, all running; what this call made is removed if it fails."""
    started = time.monotonic()
    with machine_state.locked(name):
        lab = _load_own(name)
        if provider == "docker" and (lab is None or lab.provider == "docker"):
            _prepare_docker()
        known = lab.machines if lab else ()
        with _undone_on_failure(name, known):
            lab = _described(lab or _create(name, provider), control_planes, workers)
            refresh(lab, bundle)
            _boot(lab)
    new = len(lab.machines) - len(known)
    say(f"lab `{name}`: {len(lab.machines)} machines, {new} of them new, {time.monotonic() - started:.1f} s")
    return lab


def down(name: str) -> bool:
    """Remove a lab with everything that it has; False if there was nothing."""
    machine_state.check_name(name)
    with machine_state.locked(name, wait=True):
        lab = machine_state.load(name)
        docker = machine_host.succeeds(["docker", "version"])
        if lab is None and not machine_state.directory(name).exists():
            if not docker or name not in machine_docker.labels():
                return False
        if lab is not None and shutil.which("vagrant"):
            with contextlib.suppress(errors.KubebootError):  # what Vagrant cannot remove, Docker will
                vagrant(lab, "destroy", "--force")
        if docker:
            machine_docker.remove(name)
        shutil.rmtree(machine_state.directory(name), ignore_errors=True)
    say(f"lab `{name}` is gone")
    return True


def require(name: str) -> Lab:
    """The lab of that name."""
    lab = machine_state.load(machine_state.check_name(name))
    if lab is None:
        raise errors.UsageProblem(f"there is no lab `{name}`", hint="vagrant/lab up")
    return lab


def all_names() -> list[str]:
    """Every lab of which there is a trace, remembered or only in Docker."""
    traces = machine_docker.labels() if machine_host.succeeds(["docker", "version"]) else set()
    return sorted(traces | set(machine_state.names()))


def refresh(lab: Lab, bundle: Path | None) -> None:
    """Give the lab's machines the checkout's newest kubeboot, and the bundle."""
    machine_share.refresh(lab.directory / "share", CHECKOUT, lab.image, bundle)
    if lab.provider != "docker" and (lab.directory / "ssh-config").exists():
        vagrant(lab, "rsync")


def connect(lab: Lab, machine: str) -> ssh.SshHost:
    """A machine through the project's own SSH host, as Vagrant says that it is reached."""
    return ssh.SshHost.from_ssh_config(lab.directory / "ssh-config", machine)


def vagrant(lab: Lab, *argv: str) -> str:
    """Run Vagrant on a lab."""
    return tools.run(["vagrant", *argv], env=_environment(lab))


def _environment(lab: Lab) -> dict[str, str]:
    found = {
        "VAGRANT_CWD": str(CHECKOUT / "vagrant"),
        "VAGRANT_DOTFILE_PATH": str(lab.directory / "vagrant"),
        "VAGRANT_DEFAULT_PROVIDER": lab.provider,
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "KUBEBOOT_LAB_FILE": str(lab.directory / "lab.json"),
    }
    return {**found, "VAGRANT_NO_PLUGINS": "1"} if lab.provider == "docker" else found


def _load_own(name: str) -> Lab | None:
    """The lab, unless another checkout's: that one's code would be replaced under its feet."""
    lab = machine_state.load(machine_state.check_name(name))
    if lab is not None and lab.checkout != str(CHECKOUT) and Path(lab.checkout).is_dir():
        raise errors.Occupied(
            f"the lab `{name}` belongs to {lab.checkout}",
            hint=f"choose another --name, or `vagrant/lab down --name {name}`",
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
        with machine_state.locked("", wait=True):
            subnets = machine_state.free_subnets(machine_docker.taken_subnets())
            lab = dataclasses.replace(lab, subnet=machine_docker.create_network(lab.prefix, name, subnets))
            machine_state.save(lab)
        return lab
    with machine_state.locked("", wait=True):
        labs = (machine_state.load(other) for other in machine_state.names())
        lab = dataclasses.replace(lab, subnet=next(machine_state.free_subnets(o.subnet for o in labs if o)))
        machine_state.save(lab)
    return lab


def _described(lab: Lab, control_planes: int, workers: int) -> Lab:
    """The lab with the machines that are asked for, and those that it has."""
    wanted = machine_state.layout(lab.subnet, control_planes, workers)
    have = {m.name for m in wanted}
    machines = (*wanted, *(m for m in lab.machines if m.name not in have))
    lab = dataclasses.replace(lab, machines=tuple(sorted(machines, key=lambda m: (m.role, m.name))))
    machine_state.save(lab)
    return lab


def _boot(lab: Lab) -> None:
    """Start what does not run, in parallel, and note how to reach everything."""
    config = lab.directory / "ssh-config"
    if lab.provider == "docker" and config.exists():
        if set(machine_docker.running(lab.name)) == {f"{lab.prefix}-{m.name}" for m in lab.machines}:
            return
    _vagrant_up(lab)
    partial = config.with_name(".ssh-config")
    partial.write_text(vagrant(lab, "ssh-config"))
    partial.rename(config)


def _vagrant_up(lab: Lab) -> None:
    """`vagrant up`, shown as one line per machine; all that Vagrant says is in vagrant.log."""
    argv = ["vagrant", "up", "--parallel", "--no-color", "--provider", lab.provider]
    started = time.monotonic()
    child = subprocess.Popen(
        argv,
        env={**os.environ, **_environment(lab)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = []
    with child, (lab.directory / "vagrant.log").open("a") as log:
        for line in child.stdout or ():
            lines.append(line.rstrip())
            log.write(line)
            if ready := _READY.search(line):
                say(f"  {ready[1]} answers after {time.monotonic() - started:.1f} s")
    if child.returncode:
        tail = "\n  ".join(lines[-25:])
        raise errors.KubebootError(f"`vagrant up` ended with {child.returncode}:\n  {tail}")


@contextlib.contextmanager
def _undone_on_failure(name: str, known: tuple[Machine, ...]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        say("that failed: removing what was made")
        _undo(name, known)
        raise


def _undo(name: str, known: tuple[Machine, ...]) -> None:
    lab = machine_state.load(name)
    if lab is None:
        return
    doomed = [m for m in lab.machines if m not in known]
    if doomed and (lab.directory / "vagrant").exists():
        with contextlib.suppress(errors.KubebootError):
            vagrant(lab, "destroy", "--force", *(m.name for m in doomed))
    if lab.provider == "docker":
        machine_docker.remove(name, frozenset(f"{lab.prefix}-{m.name}" for m in known))
    if known:
        machine_state.save(dataclasses.replace(lab, machines=known))
    else:
        shutil.rmtree(lab.directory, ignore_errors=True)
