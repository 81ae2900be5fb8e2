"""Running Vagrant on a lab, and reaching its machines as Vagrant says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines
from lablib import tools
from lablib.machine_host import say
from lablib.machine_state import Lab

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PATIENT = Deadlines(connect=60, banner=120, auth=120, idle=120, answer=120)
"""For machines that a program plays."""
_READY = re.compile(r"(\S+): Machine booted and ready")


def connect(lab: Lab, machine: str) -> SshHost:
    """A machine through the project's own SSH host."""
    if not lab.ssh_config.exists():
        hint = f"vagrant/lab up --name {lab.name}"
        raise errors.Unreachable(f"the lab `{lab.name}` was never up", hint=hint)
    patience = PATIENT if lab.provider == "qemu" else None
    return SshHost.from_ssh_config(lab.ssh_config, machine, deadlines=patience)


def vagrant(lab: Lab, *argv: str) -> str:
    """What Vagrant prints."""
    return tools.run(["vagrant", *argv], env=_environment(lab))


def up(lab: Lab) -> None:
    """`vagrant up`, shown as one line per machine; all that Vagrant says is in vagrant.log."""
    started = time.monotonic()
    child = subprocess.Popen(
        ["vagrant", "up", "--parallel", "--no-color", "--provider", lab.provider],
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


def write_vagrantfile(lab: Lab) -> None:
    """A Vagrantfile in the lab's directory that reads this checkout's.

    Vagrant takes machines of one name in one directory for the same machine, and locks it: labs that shared
    the checkout's could not be started side by side.
    """
    checkouts = json.dumps(str(CHECKOUT / "vagrant" / "Vagrantfile"))
    text = f'ENV["KUBEBOOT_LAB_FILE"] = File.join(__dir__, "lab.json")\nload {checkouts}\n'
    (lab.directory / "Vagrantfile").write_text(text)


def note_ssh_config(lab: Lab) -> None:
    """Keep what Vagrant says of how to reach the machines."""
    partial = lab.ssh_config.with_name(".ssh-config")
    partial.write_text(vagrant(lab, "ssh-config"))
    partial.rename(lab.ssh_config)


def _environment(lab: Lab) -> Mapping[str, str]:
    found = {
        "VAGRANT_CWD": str(lab.directory),
        "VAGRANT_DEFAULT_PROVIDER": lab.provider,
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }
    if lab.provider != "docker":
        return found
    # with a home of its own a lab leaves nothing in the user's, where other providers' boxes are
    return {**found, "VAGRANT_NO_PLUGINS": "1", "VAGRANT_HOME": str(lab.directory / "vagrant-home")}
