"""A lab as an Ansible inventory, in the groups that kubespray has made usual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lablib import machine_state
from lablib.machine_state import Lab, Role

GROUPS: dict[str, tuple[Role, ...]] = {
    "kube_control_plane": ("control_plane",),
    "etcd": ("etcd",),
    "kube_node": ("worker",),
    "lb": ("load_balancer",),
}


def inventory(lab: Lab, ssh_config: str) -> dict[str, Any]:
    """What a dynamic inventory prints for --list. `ip` is the address on the cluster's network.

    With the bundle, `kubeboot up` needs nothing else.
    """
    known = _options(ssh_config)
    variables = {m.name: {**_reached(known[m.name]), "ip": m.address} for m in lab.machines}
    groups = {
        group: {"hosts": [m.name for m in lab.machines if m.role in roles]} for group, roles in GROUPS.items()
    }
    groups["etcd"] = groups["etcd"] if groups["etcd"]["hosts"] else groups["kube_control_plane"]
    return {"_meta": {"hostvars": variables}, **groups, **_bundle(lab)}


def _bundle(lab: Lab) -> dict[str, Any]:
    here = lab.directory / "share" / machine_state.BUNDLE
    if not here.exists():
        return {}
    cluster = {"artifacts": {"bundle": str(here)}}
    there = f"{machine_state.SHARE}/{machine_state.BUNDLE}"
    return {"all": {"vars": {"kubeboot_cluster": cluster, "kubeboot_bundle": there}}}


def _options(ssh_config: str) -> dict[str, dict[str, str]]:
    """By machine, as Vagrant writes it. paramiko could read more, and is most of the time that this takes."""
    found: dict[str, dict[str, str]] = {}
    for line in ssh_config.splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "Host":
            own = found.setdefault(value, {})
        elif name:
            own.setdefault(name.lower(), value.strip('"'))
    return found


def _reached(options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ansible_host": options["hostname"],
        "ansible_port": int(options.get("port", "22")),
        "ansible_user": options["user"],
        "ansible_ssh_private_key_file": options["identityfile"],
        "ansible_ssh_common_args": "-o IdentitiesOnly=yes -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    }
