"""Machines as an inventory for Ansible itself: reached as kubeboot reaches them, by one ssh_config."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kubeboot.inventory.model import Inventory, Machine, Role

GROUPS: tuple[tuple[Role, str], ...] = (
    ("control_plane", "kube_control_plane"),
    ("etcd", "etcd"),
    ("worker", "kube_node"),
    ("lb", "lb"),
)


def write(
    found: Inventory, folder: Path, ssh_config: Callable[[Machine], str], more: Iterable[Machine] = ()
) -> Path:
    """Write it, and a file of ssh's for each machine; `more` are machines that the inventory lacks."""
    machines = (*found.machines, *more)
    hosts = {machine.name: _variables(machine, folder, ssh_config) for machine in machines}
    groups = {name: dict.fromkeys(members) for name, members in found.groups.items()}
    for role, name in GROUPS:
        groups[name] = {machine.name: None for machine in machines if role in machine.roles}
    children = {name: {"hosts": members} for name, members in groups.items() if members}
    path = folder / "hosts.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "children": children}}))
    return path


def _variables(machine: Machine, folder: Path, ssh_config: Callable[[Machine], str]) -> dict[str, Any]:
    if machine.access.local:
        return {"ansible_connection": "local"}
    file = folder / f"{machine.name}.ssh"
    file.write_text(ssh_config(machine))
    said = {"ansible_host": machine.name, "ansible_ssh_common_args": f"-F {file}"}
    return {**said, "ip": machine.address} if machine.address else said
