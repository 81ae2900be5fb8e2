"""Any Ansible inventory, by ansible-runner: a file (INI, YAML), a directory with group_vars, a script."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from kubeboot import errors
from kubeboot.inventory import variables
from kubeboot.inventory.model import Inventory, Machine, Role, checked, refused

GROUPS: Mapping[str, Role] = {
    "kube_control_plane": "control_plane",
    "kube-master": "control_plane",
    "kube_master": "control_plane",
    "etcd": "etcd",
    "kube_node": "worker",
    "kube-node": "worker",
    "lb": "lb",
}
"""kubespray's groups, by their present names and those of old inventories; `lb` is ours."""

_SKIPPED = re.compile(r"\[WARNING\]:\s+Skipping\s+(?:'|key\b|unexpected\s+key\b)")
"""What Ansible does with a group that it cannot read: the cluster would lack its machines.

A plugin that it skips is nobody's machine.
"""
CLUSTER = "kubeboot_cluster"
"""The variable with what the Cluster file would say."""


def read(path: Path) -> Inventory:
    """The inventory at a path; ConfigInvalid (KB_INVENTORY, KB_ANSIBLE) when it cannot be had."""
    if not path.exists():
        raise refused(str(path), "is not there", "name a file, a directory or a script with --inventory")
    return checked(parse(_listed(path), path))


def begin(path: Path, aside: Executor) -> Future[Inventory]:
    """`read` aside. Whatever else is imported then does not keep it from starting Ansible."""
    import ansible_runner  # noqa: F401

    return aside.submit(read, path)


def parse(listed: Mapping[str, Any], path: Path) -> Inventory:
    """What `ansible-inventory --list` prints."""
    if misshapen := tuple(_misshapen(listed)):
        raise refused(str(path), "cannot be used", "fix what is listed above", "\n".join(misshapen))
    groups = {name: tuple(_members(listed, name)) for name in listed if name != "_meta"}
    known = listed.get("_meta", {}).get("hostvars", {})
    home = path if path.is_dir() else path.parent
    machines: list[Machine] = []
    wrong: list[str] = []
    for name in dict.fromkeys(host for group in GROUPS for host in groups.get(group, ())):
        roles = {role for group, role in GROUPS.items() if name in groups.get(group, ())}
        try:
            machines.append(variables.machine(name, roles, known.get(name, {}), home))
        except (ValueError, TypeError) as error:
            wrong.append(f"{name}: {error}")
    try:
        cluster = _cluster(known.values())
    except ValueError as error:
        wrong.append(f"{CLUSTER}: {error}")
    if wrong:
        raise refused(str(path), "cannot be used", "fix what is listed above", "\n".join(wrong))
    return Inventory(str(path), tuple(machines), groups, cluster, str(path.absolute()))


def _misshapen(listed: Mapping[str, Any]) -> Iterator[str]:
    """What is not as an inventory script must print it; Ansible does not fix all of it."""
    for name, group in listed.items():
        if not isinstance(group, Mapping):
            yield f"{name}: is not a mapping"
        elif name != "_meta":
            lists = (key for key in ("hosts", "children") if not _is_words(group.get(key, [])))
            yield from (f"{name}: its {key} are not a list of names" for key in lists)
    meta = listed.get("_meta", {})
    known = meta.get("hostvars", {}) if isinstance(meta, Mapping) else {}
    if not isinstance(known, Mapping):
        yield "_meta: its hostvars are not a mapping"
    else:
        bad = (name for name, variables in known.items() if not isinstance(variables, Mapping))
        yield from (f"{name}: its variables are not a mapping" for name in bad)


def _is_words(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)


def _members(listed: Mapping[str, Any], group: str, above: frozenset[str] = frozenset()) -> Iterable[str]:
    """A group's hosts, and those of the groups in it."""
    found = listed.get(group, {})
    below = [g for g in found.get("children", ()) if g not in above]
    inner = (host for g in below for host in _members(listed, g, above | {group}))
    return dict.fromkeys((*found.get("hosts", ()), *inner))


def _cluster(known: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first that a host has: it belongs into group_vars/all. In INI it may be text.

    ValueError when it is no mapping.
    """
    said = next((each[CLUSTER] for each in known if CLUSTER in each), None)
    found = _loaded(said) if isinstance(said, str) else said
    if found is not None and not isinstance(found, Mapping):
        raise ValueError("is not a mapping")
    return found or {}


def _loaded(text: str) -> object:
    """Where there is text, Ansible has run by now: it does not wait for this import."""
    from kubeboot import render

    return render.load_foreign(text)


def _listed(path: Path) -> Mapping[str, Any]:
    tool = require("an Ansible inventory", "list the machines as `hosts` in the Cluster file")
    import ansible_runner

    try:
        with tempfile.TemporaryDirectory(prefix="kubeboot-inventory-") as folder:
            out, said, code = ansible_runner.run_command(
                tool,
                ["--inventory", str(path.absolute()), "--list"],
                runner_mode="subprocess",
                quiet=True,
                envvars={"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
                private_data_dir=folder,  # or one that stays, with all variables in it
            )
        found = json.loads(out) if code == 0 else None
    except Exception as error:  # whatever the tool and its plugins raise
        raise _unreadable(path, str(error)) from None
    if not isinstance(found, dict) or _SKIPPED.search(said):
        raise _unreadable(path, said or out)
    return found


def _unreadable(path: Path, said: str) -> errors.ConfigInvalid:
    """With Ansible's words, but not with its traceback."""
    said = said.partition("Traceback (most recent call last)")[0]
    words = "\n".join(line for line in said.splitlines() if line.strip() and "usage:" not in line)
    return refused(str(path), "cannot be read", f"`ansible-inventory -i {path} --list` shows the same", words)


def require(what: str, instead: str) -> str:
    """The path of `ansible-inventory`; ConfigInvalid (KB_ANSIBLE) without ansible-core."""
    tool = shutil.which("ansible-inventory", path=tools())
    if importlib.util.find_spec("ansible") is None or tool is None:
        raise errors.ConfigInvalid(
            f"{what} needs ansible-core, which is not installed here",
            hint=f"pip install 'kubeboot[ansible]', or {instead}",
            reason="KB_ANSIBLE",
        )
    return tool


def tools() -> str:
    """A PATH that begins beside the Python that runs this: its environment may not be an active one."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
