"""Machines as an inventory describes them, and what must hold for all of them together."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from kubeboot import errors
from kubeboot.inventory import plain

Role = Literal["control_plane", "etcd", "worker", "lb"]
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
ROLES: tuple[Role, ...] = ("control_plane", "etcd", "worker", "lb")


@dataclasses.dataclass(frozen=True)
class Access:
    """How to get in; what is None comes from the user's ssh configuration. `local`: it is this machine.

    `options` are ssh's own, by their names in ssh_config. `config` is a file to use instead of the user's.
    `host_keys` are pins: public keys or their fingerprints, besides which no key is believed.
    """

    host: str | None = None
    user: str | None = None
    port: int | None = None
    key_file: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    config: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    sudo_password: str | None = dataclasses.field(default=None, repr=False)
    host_keys: tuple[str, ...] = ()
    local: bool = False


@dataclasses.dataclass(frozen=True)
class Machine:
    """`address` is the one within the cluster. `taints` None: those that its role has by itself.

    `bundle` is where the machine has the bundle itself, if it does.
    """

    name: str
    roles: frozenset[Role]
    access: Access = Access()
    address: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[tuple[str, str, str], ...] | None = None
    bundle: str | None = None

    @property
    def role(self) -> Role:
        """What it mainly is: a control plane may run etcd and pods too."""
        return next(role for role in ROLES if role in self.roles)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """`groups` has every group with all its machines; `cluster` is what the inventory says of the cluster.

    `ansible` is where Ansible itself reads it, if it is Ansible's.
    """

    source: str
    machines: tuple[Machine, ...]
    groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    cluster: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ansible: str = ""

    def of(self, role: Role) -> tuple[Machine, ...]:
        """The machines whose main role this is, in the inventory's order."""
        return tuple(machine for machine in self.machines if machine.role == role)

    def limited(self, names: Iterable[str]) -> tuple[Machine, ...]:
        """The machines of these groups, roles or names; all without any. ConfigInvalid for an unknown one."""
        wanted = {name for each in names for name in self._meant(each)}
        return tuple(machine for machine in self.machines if not names or machine.name in wanted)

    def _meant(self, name: str) -> tuple[str, ...]:
        found = tuple(
            m.name for m in self.machines if name in ("all", m.name) or name.replace("-", "_") in m.roles
        )
        meant = found or self.groups.get(name, ())
        if not meant:
            known = ", ".join((*self.groups, *(m.name for m in self.machines))) or "none"
            raise refused(self.source, f"has no group or machine `{name}`", f"there are: {known}")
        return meant


def pin(text: str) -> str:
    """A public key's line, or its fingerprint; ValueError for what is neither."""
    words = text.split()
    if words and _FINGERPRINT.fullmatch(words[-1]):
        return text
    try:
        data = base64.b64decode(words[1], validate=True)
        if data[4:].startswith(words[0].encode()) and len(data) > 4 + len(words[0]):
            return " ".join(words[:2])
    except (IndexError, ValueError):
        pass
    raise ValueError(f"the host key `{text}` is neither a public key nor a fingerprint (SHA256:…)")


def checked(found: Inventory) -> Inventory:
    """The inventory, if a cluster can be made of it; ConfigInvalid (KB_INVENTORY) with everything else."""
    wrong = tuple(_problems(found))
    if wrong:
        raise refused(found.source, "cannot be used", "fix what is listed above", "\n".join(wrong))
    return found


def _problems(found: Inventory) -> Iterator[str]:
    names = [machine.name for machine in found.machines]
    yield from (f"{name}: is listed twice" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from (f"{machine.name}: {why}" for machine in found.machines for why in unfit(machine))
    addresses = [m.address for m in found.machines if m.address]
    for address in sorted({a for a in addresses if addresses.count(a) > 1}):
        same = ", ".join(m.name for m in found.machines if m.address == address)
        yield f"{same}: have one address, {address}"
    if not found.of("control_plane"):
        yield "no control plane: the group kube_control_plane is empty, or no host has `role: control-plane`"


def unfit(machine: Machine) -> Iterator[str]:
    """What of its name and the way in would mean something to ssh, a shell or a file system."""
    access = machine.access
    for what, fits, word in (
        ("name", plain.is_name, machine.name),
        ("host", plain.is_host, access.host),
        ("user", plain.is_user, access.user),
        ("address", plain.is_host, machine.address),
        ("key file", plain.is_line, access.key_file),
        *((name, plain.is_line, f"{name} {value}") for name, value in access.options),
    ):
        if word is not None and not fits(word):
            yield f"{word!r} cannot be a {what}"


def refused(source: str, why: str, hint: str, output: str | None = None) -> errors.ConfigInvalid:
    """The error for an inventory that cannot be used."""
    return errors.ConfigInvalid(f"inventory {source} {why}", hint=hint, reason="KB_INVENTORY", output=output)
