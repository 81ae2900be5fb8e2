"""The lab's commands that change or enter machines, from `lab up` to `lab down`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from kubeboot import errors
from lablib import (
    build,
    machine_docker,
    machine_host,
    machine_labs,
    machine_logs,
    machine_state,
    machine_vagrant,
    machine_vm,
)
from lablib.machine_notes import NAME
from lablib.machine_state import Lab

_PROVIDERS = ("docker", "libvirt", "virtualbox", "qemu")


@click.command()
@NAME
@click.option("--control-planes", type=click.IntRange(0, 9), default=1, show_default=True)
@click.option("--workers", type=click.IntRange(0, 99), default=0, show_default=True)
@click.option("--lb", type=click.IntRange(0, 9), default=0, show_default=True, help="Balancers alone.")
@click.option("--etcd", type=click.IntRange(0, 9), default=0, show_default=True, help="etcd alone.")
@click.option("--provider", type=click.Choice(_PROVIDERS), default="docker", show_default=True)
@click.option(
    "--build/--no-build", "with_bundle", default=True, help="Build the bundle first if it is not there."
)
def up(
    name: str, control_planes: int, workers: int, lb: int, etcd: int, provider: str, with_bundle: bool
) -> None:
    """Boot machines; those that run already are left alone, and get the newest kubeboot."""
    bundle = build.build(machine_host.say) if with_bundle else None
    machine_labs.up(name, control_planes, workers, provider, bundle, lb, etcd)


@click.command()
@NAME
def sync(name: str) -> None:
    """Give running machines the kubeboot and the bundle of this checkout."""
    machine_labs.sync(name, _built())


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--name", "lab_name", default="lab", show_default=True, help="Which lab.", metavar="LAB")
@click.argument("machine")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(lab_name: str, machine: str, command: tuple[str, ...]) -> None:
    """Run a command on MACHINE: its exit status, stdin, stdout and stderr are passed through.

    One argument is a shell's command line ('ls | wc -l'); of several, each reaches the command as it is.
    Without a command: a shell.
    """
    lab = _with(machine_state.require(lab_name), machine)
    command = command[1:] if command[:1] == ("--",) else command
    if not command:
        config = str(lab.ssh_config)
        os.execvp("ssh", ["ssh", "-F", config, machine])  # noqa: S606 - a terminal's shell is ssh's own business
    argv = command if len(command) > 1 else ("sh", "-c", command[0])
    host = machine_vagrant.connect(lab, machine)
    try:
        status = host.run(argv, sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)
    finally:
        host.close()
    sys.exit(status)


@click.command()
@NAME
def kubeconfig(name: str) -> None:
    """Print the administrator's kubeconfig of the first control plane that has one."""
    lab = machine_state.require(name)
    for machine in lab.machines:
        if machine.role == "control_plane":
            host = machine_vagrant.connect(lab, machine.name)
            found = host.read("/etc/kubernetes/admin.conf")
            host.close()
            if found:
                sys.stdout.buffer.write(found)
                return
    raise errors.KubebootError("no control plane has an admin.conf", hint="run `kubeboot init` on one first")


@click.command()
@NAME
@click.argument("directory", type=click.Path(path_type=Path), required=False)
def logs(name: str, directory: Path | None) -> None:
    """Collect journals, containers' logs and states of all machines into DIRECTORY, and print its path."""
    lab = machine_state.require(name)
    click.echo(machine_logs.collect(lab, directory or Path(f"lab-logs-{name}")))


@click.command()
@NAME
@click.option("--all", "everything", is_flag=True, help="Every lab of this computer, other checkouts' too.")
@click.option(
    "--docker", is_flag=True, help="Also end a Docker daemon that a lab started, if nobody uses it."
)
def down(name: str, everything: bool, docker: bool) -> None:
    """Remove a lab: machines, their disks, its network, its state."""
    for each in machine_labs.all_names() if everything else [name]:
        if not machine_labs.down(each, anybodys=everything):
            machine_host.say(f"there is no lab `{each}`")
    if docker:
        machine_host.stop_docker()


@click.command(name="list")
def list_labs() -> None:
    """Show all labs of this computer."""
    answers = machine_host.docker_answers()
    for name in machine_labs.all_names():
        lab = machine_state.load(name)
        if lab is None:
            click.echo(f"{name}\tleft over: remove it with `vagrant/lab down --name {name}`")
            continue
        up = _running(lab, answers)
        click.echo(f"{name}\t{lab.provider}\t{lab.subnet}\t{up}/{len(lab.machines)} running\t{lab.checkout}")


def _running(lab: Lab, docker: bool) -> int | str:
    """How many of its machines run, as far as this computer can tell."""
    if lab.provider == "qemu":
        return int(machine_vm.running(lab))
    return len(machine_docker.running(lab.name)) if lab.provider == "docker" and docker else "?"


def _built() -> Path | None:
    path = build.bundle_path()
    return path if path.exists() else None


def _with(lab: Lab, machine: str) -> Lab:
    if lab.machine(machine) is None:
        known = ", ".join(m.name for m in lab.machines)
        raise errors.UsageProblem(f"the lab `{lab.name}` has no machine `{machine}`", hint=f"it has {known}")
    return lab


COMMANDS = (up, sync, ssh, kubeconfig, logs, down, list_labs)
