"""The options about getting into machines, and the questions that a person is asked meanwhile."""

from __future__ import annotations

import dataclasses
import getpass
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kubeboot import errors
from kubeboot.cli import asking, runtime

if TYPE_CHECKING:
    from kubeboot.fleet.doors import Door
    from kubeboot.host.ssh.questions import UnknownHostKey
    from kubeboot.inventory.model import Inventory

F = TypeVar("F", bound=Callable[..., Any])

_SECRETS = {
    "ask_sudo_password": ("sudo_password", "the password for sudo"),
    "ask_key_passphrase": ("passphrase", "the private key's passphrase"),
}
"""Option: what it answers, and what it asks for. In this order they are read from standard input."""


def access_options(command: F) -> F:
    """How one gets into machines."""
    for option in (
        click.option("--ask-key-passphrase", is_flag=True,
                     help="ask for the private key's passphrase, or read it from a line of stdin"),
        click.option("-K", "--ask-sudo-password", is_flag=True,
                     help="ask for sudo's password, or read it from a line of stdin"),
        click.option("--accept-new-host-keys", is_flag=True,
                     help="show the fingerprints of unknown host keys, and trust them from now on"),
    ):  # fmt: skip
        command = option(command)
    return command


def door(ctx: click.Context, given: Mapping[str, Any]) -> Door:
    """What opens machines. No password that is given here or there is ever in a log."""
    from kubeboot.fleet.doors import Door

    now = runtime.current(ctx)
    if "-" in given["config"] and any(given.get(option) for option in _SECRETS):
        raise errors.UsageProblem("standard input can be read only once, and --config reads it")
    said = {name: _asked(now, what) for option, (name, what) in _SECRETS.items() if given.get(option)}
    believing = _Believing(now, bool(given.get("accept_new_host_keys")))
    scale = given.get("timeout_scale", 1.0)
    return Door(known_hosts(now.environ), believing, _secret(now), **said, timeout_scale=scale)


def meant(ctx: click.Context, door: Door, found: Inventory, cluster: str) -> Door:
    """The door, now that it is known which machines it leads to."""
    now = runtime.current(ctx)
    for machine in found.machines:
        for password in (machine.access.password, machine.access.sudo_password):
            now.redactor.hide(password or "")
    door.keep_in(known_hosts(now.environ, cluster))
    return door


def known_hosts(environ: Mapping[str, str], cluster: str = "") -> Path:
    """The cluster's own file; without a name that of machines whose cluster is not known yet."""
    state = environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(state) / "kubeboot" / cluster / "known_hosts"


@dataclasses.dataclass
class _Believing:
    """Asks about unknown host keys. `all`: the others are only shown, and believed then."""

    now: runtime.Runtime
    all: bool

    def __call__(self, key: UnknownHostKey, file: Path) -> bool:
        if not self.all and not asking.someone(self.now):
            return False
        shown = f"{key.host}: {key.known_as} shows the host key {key.fingerprint}"
        if not self.all:
            question = f"{shown}\nis it the machine's own, to be kept in {file}? type `yes`, or `all`: "
            said = asking.answer(self.now, question)
            self.all = said == "all"
            return self.all or said in ("yes", "y")
        with self.now.asking():
            self.now.console.say(f"{shown}; trusted from now on")
        return True


def _secret(now: runtime.Runtime) -> Callable[[str], str | None]:
    return lambda what: _asked(now, what) or None if asking.someone(now) else None


def _asked(now: runtime.Runtime, what: str) -> str:
    """From the terminal without an echo, else a line of standard input."""
    with now.asking():
        if asking.someone(now):
            said = getpass.getpass(f"{what}: ")
        else:
            said = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    if not said and not asking.someone(now):
        raise errors.UsageProblem(f"{what} is to be read from standard input, and there is no line left")
    now.redactor.hide(said)
    return said
