"""The machines that the Cluster file itself lists."""

from __future__ import annotations

from collections.abc import Iterator

from kubeboot.config.machines import HostEntry
from kubeboot.config.spec import ClusterSpec
from kubeboot.inventory.model import Access, Inventory, Machine, Role, checked, pin, refused

_ROLES: dict[str, Role] = {"control-plane": "control_plane", "worker": "worker", "etcd": "etcd", "lb": "lb"}


def read(spec: ClusterSpec, source: str) -> Inventory:
    """`hosts` as an inventory, with the groups that Ansible's have."""
    try:
        machines = tuple(_machine(entry) for entry in spec.hosts)
    except ValueError as error:
        raise refused(source, "cannot be used", "fix it", str(error)) from None
    groups = {role: tuple(m.name for m in machines if role in m.roles) for role in _ROLES.values()}
    return checked(Inventory(source, machines, {name: found for name, found in groups.items() if found}))


def _machine(entry: HostEntry) -> Machine:
    taints = None if entry.taints is None else tuple((t.key, t.value, t.effect) for t in entry.taints)
    return Machine(
        name=entry.name,
        roles=frozenset({_ROLES[entry.role]}),
        access=Access(
            host=entry.ssh.host or entry.address,
            user=entry.ssh.user,
            port=entry.ssh.port,
            key_file=entry.ssh.key_file,
            options=tuple(_options(entry)),
            host_keys=(pin(entry.ssh.host_key),) if entry.ssh.host_key else (),
            local=entry.ssh.local,
        ),
        address=entry.address,
        labels=tuple(sorted(entry.labels.items())),
        taints=taints,
    )


def _options(entry: HostEntry) -> Iterator[tuple[str, str]]:
    if entry.ssh.jump is not None:
        yield "ProxyJump", entry.ssh.jump
    yield from entry.ssh.options.items()
