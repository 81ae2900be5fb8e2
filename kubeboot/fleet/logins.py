"""How a machine of an inventory is logged in to: what it says, over the user's own ssh configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from kubeboot import errors
from kubeboot.host.api import HostTarget
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines, Login
from kubeboot.inventory.model import Machine

_USERS = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))

Open = Callable[[Machine], HostTarget]


@dataclasses.dataclass(frozen=True)
class Answers:
    """What holds for all machines of a run: where host keys are kept, what a person has said, patience.

    `told` are the host keys that the cluster keeps, by name.
    """

    known_hosts: tuple[Path, ...] = ()
    passphrase: str | None = dataclasses.field(default=None, repr=False)
    sudo_password: str | None = dataclasses.field(default=None, repr=False)
    timeout_scale: float = 1.0
    told: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


NO_ANSWERS = Answers()


@runtime_checkable
class Settling(Protocol):
    """An opener that can do something about a failure: ask a person."""

    def settle(self, error: errors.KubebootError) -> bool:
        """Whether another attempt is worth while."""
        ...


def ssh_config(machine: Machine) -> str:
    """The inventory's words before those of the user's own configuration: in ssh the first one counts.

    Another workstation does not have the first one's files. What they begin with is said of all hosts.
    """
    access = machine.access
    key = access.key_file if access.key_file and Path(access.key_file).expanduser().exists() else None
    ours = (
        ("HostName", access.host),
        ("User", access.user),
        ("Port", str(access.port) if access.port else None),
        ("IdentityFile", key),
        *access.options,
    )
    lines = "".join(f"  {name} {value}\n" for name, value in ours if value)
    own = Path(access.config).expanduser() if access.config else None
    files = (own,) if own and own.exists() else tuple(path.expanduser() for path in _USERS)
    whole = (f"Host *\n{path.read_text()}" for path in files if path.exists())
    return "\n".join((f"Host {machine.name}\n{lines}", *whole))


def open_host(machine: Machine, answers: Answers = NO_ANSWERS) -> HostTarget:
    """The machine, not connected yet."""
    if machine.access.local:
        return LocalHost(machine.name)
    login = Login(
        machine.name,
        ssh_config(machine),
        password=machine.access.password,
        passphrase=answers.passphrase,
        sudo_password=machine.access.sudo_password or answers.sudo_password,
        known_hosts=answers.known_hosts,
        told=answers.told,
        pins=machine.access.host_keys,
        deadlines=Deadlines().scaled(answers.timeout_scale),
    )
    return SshHost(Connection(login))
