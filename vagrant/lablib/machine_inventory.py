"""A lab as an Ansible inventory, in the groups that kubespray has made usual."""

from __future__ import annotations

import io
from typing import Any

import paramiko

from lablib import machine_share
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
    known = paramiko.SSHConfig.from_file(io.StringIO(ssh_config))
    variables = {m.name: {**_reached(known.lookup(m.name)), "ip": m.address} for m in lab.machines}
    groups = {
        group: {"hosts": [m.name for m in lab.machines if m.role in roles]} for group, roles in GROUPS.items()
    }
    groups["etcd"] = groups["etcd"] if groups["etcd"]["hosts"] else groups["kube_control_plane"]
    return {"_meta": {"hostvars": variables}, **groups, **_bundle(lab)}


def _bundle(lab: Lab) -> dict[str, Any]:
    here = lab.directory / "share" / machine_share.BUNDLE
    if not here.exists():
        return {}
    cluster = {"artifacts": {"bundle": str(here)}}
    there = f"{machine_share.POINT}/{machine_share.BUNDLE}"
    return {"all": {"vars": {"kubeboot_cluster": cluster, "kubeboot_bundle": there}}}


def _reached(options: paramiko.SSHConfigDict) -> dict[str, Any]:
    return {
        "ansible_host": options["hostname"],
        "ansible_port": int(options.get("port", "22")),
        "ansible_user": options["user"],
        "ansible_ssh_private_key_file": options["identityfile"][0],
        "ansible_ssh_common_args": "-o IdentitiesOnly=yes -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    }
