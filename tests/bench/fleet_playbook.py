"""What kubeboot has put on machines, as a playbook of ansible-core: the same files, links, units and sysctls.

It is as fast as its author can make it: no facts, pipelining, kept connections, all machines at once, one
task for each kind of thing, and one command for all sysctls.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kubeboot.engine import journal, undo
from tests.bench.machines import TOP, Failed, Machine

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - copy: {src: "{{ item.src }}", dest: "{{ item.path }}", mode: "{{ item.mode }}"}
      loop: "{{ kb.files }}"
      loop_control: {label: "{{ item.path }}"}
    - file: {src: "{{ item.target }}", dest: "{{ item.path }}", state: link, force: true, follow: false}
      loop: "{{ kb.links }}"
      loop_control: {label: "{{ item.path }}"}
    - systemd_service:
        name: "{{ item.name }}"
        enabled: "{{ item.enabled | default(omit) }}"
        state: "{{ item.state }}"
      loop: "{{ kb.units }}"
      loop_control: {label: "{{ item.name }}"}
    - command: {argv: "{{ ['sysctl', '--values'] + kb.sysctls.keys() | list }}"}
      register: now
      changed_when: now.stdout_lines | map('split') | list != kb.sysctls.values() | map('split') | list
"""
SETTINGS = {
    "ANSIBLE_PIPELINING": "true",
    "ANSIBLE_FORKS": "20",
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    "ANSIBLE_DISPLAY_OK_HOSTS": "false",
}
_CHANGED = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


@dataclasses.dataclass(frozen=True)
class Played:
    """Seconds of the whole playbook, and how many things it looked at on all machines."""

    seconds: float
    things: int


def play(lab: Mapping[str, Machine], inventory: Mapping[str, Any], folder: Path) -> Played:
    """Run it where nothing is to be done; Failed when it finds something."""
    described = {name: describe(machine, folder / "files") for name, machine in lab.items()}
    hosts = {name: inventory["_meta"]["hostvars"][name] | {"kb": described[name]} for name in lab}
    script = folder / "inventory"
    listed = {"_meta": {"hostvars": hosts}, "all": {"hosts": [*hosts]}}
    (folder / "inventory.json").write_text(json.dumps(listed))
    script.write_text(f"#!/bin/sh\nexec cat {folder}/inventory.json\n")
    script.chmod(0o755)
    (folder / "playbook.yml").write_text(PLAYBOOK)
    tool = Path(sys.executable).parent / "ansible-playbook"
    began = time.monotonic()
    done = subprocess.run(
        (str(tool), "-i", str(script), str(folder / "playbook.yml")),
        env={**os.environ, **SETTINGS, "HOME": str(folder)},
        capture_output=True,
        text=True,
        cwd=TOP,
        check=False,
    )
    seconds = time.monotonic() - began
    ends = {name: tuple(map(int, rest)) for name, *rest in _CHANGED.findall(done.stdout)}
    if done.returncode or ends.keys() != lab.keys() or any(end[1:] != (0, 0, 0) for end in ends.values()):
        raise Failed(f"the playbook found something to do:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return Played(seconds, sum(len(things) for one in described.values() for things in one.values()))


def describe(machine: Machine, store: Path) -> dict[str, Any]:
    """By the machine's journal, and by what is there now; files' bytes are kept once, by their sums."""
    store.mkdir(exist_ok=True)
    undos = list(_undos(machine))
    there = {path: machine.root / path.lstrip("/") for path in paths(machine)}
    keys = sorted({u.key for u in undos if isinstance(u, undo.RestoreSysctl)})
    return {
        "files": [
            _file(path, at, store) for path, at in there.items() if at.is_file() and not at.is_symlink()
        ],
        "links": [{"path": p, "target": str(at.readlink())} for p, at in there.items() if at.is_symlink()],
        "units": [
            _unit(machine, n) for n in sorted({u.unit for u in undos if isinstance(u, undo.RestoreUnit)})
        ],
        "sysctls": {key: machine.run("sysctl", "--values", key).strip() for key in keys},
    }


def paths(machine: Machine) -> list[str]:
    """Files and links that kubeboot has written."""
    kinds = (undo.RemovePath, undo.RestoreFile, undo.RestoreLink)
    return sorted({found.path for found in _undos(machine) if isinstance(found, kinds)})


def _undos(machine: Machine) -> Iterator[undo.Undo]:
    for line in (machine.read(journal.PATH) or b"").splitlines():
        yield from map(undo.decode, json.loads(line).get("undo", ()))


def _unit(machine: Machine, name: str) -> dict[str, Any]:
    """As it is; one that cannot be enabled has no say in that."""
    active = machine.run("systemctl", "is-active", name, check=False).strip() == "active"
    enabled = machine.run("systemctl", "is-enabled", name, check=False).strip()
    boot = {"enabled": enabled == "enabled"} if enabled in ("enabled", "disabled") else {}
    return {"name": name, "state": "started" if active else "stopped", **boot}


def _file(path: str, at: Path, store: Path) -> dict[str, str]:
    with at.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()
    if not (store / name).exists():
        shutil.copyfile(at, store / name)
    return {"path": path, "src": str(store / name), "mode": f"{at.stat().st_mode & 0o7777:04o}"}
