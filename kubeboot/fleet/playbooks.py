"""A playbook by ansible-runner on one machine of a fleet; what Ansible tells becomes kubeboot's events."""

from __future__ import annotations

import dataclasses
import os
import shlex
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kubeboot import errors
from kubeboot.engine.events import Emit, Event, State, StepFinished, StepStarted
from kubeboot.fleet import logins
from kubeboot.fleet.reach import Reached
from kubeboot.host.ssh.host import SshHost
from kubeboot.inventory import ansible, for_ansible
from kubeboot.inventory.model import Inventory

SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
LIMIT = 3600
"""Seconds for one playbook on one machine, before scaling."""
AT_ONCE = threading.BoundedSemaphore(8)
"""Each run is a Python process of its own, and busy."""
_STATES: Mapping[str, State] = {
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "failed",
}


class HookFailed(errors.KubebootError):
    """A playbook of the user's did not reach its end on a machine."""

    reason = "KB_HOOK"


@dataclasses.dataclass(frozen=True)
class Part:
    """One playbook on one machine; `on` and `step` are how events name them."""

    inventory: Inventory
    who: Reached
    playbook: Path
    on: str
    step: str
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Way:
    """What Ansible is told of how kubeboot gets in: `known` are host keys, the answers go by its terminal."""

    known: tuple[str, ...] = ()
    root: bool = True
    sudo_password: str | None = dataclasses.field(default=None, repr=False)
    passphrase: str | None = dataclasses.field(default=None, repr=False)

    @property
    def arguments(self) -> str:
        """ansible-playbook's."""
        become = () if self.root else ("--become",)
        return " ".join((*become, *(("--ask-become-pass",) if self.sudo_password else ())))

    @property
    def answers(self) -> dict[str, str]:
        """By what is asked for; none of them is ever in a file, an argument or the environment."""
        asked = (
            (r"BECOME password.*:\s*$", self.sudo_password),
            (r"Enter passphrase for .*:\s*$", self.passphrase),
        )
        return {question: answer for question, answer in asked if answer}


def play(part: Part, emit: Emit) -> None:
    """Run it; HookFailed with the failed task's words."""
    import ansible_runner

    teller, way = Teller(part, emit), way_of(part.who)
    with AT_ONCE, tempfile.TemporaryDirectory(prefix="kubeboot-hook-") as folder:
        known = f"GlobalKnownHostsFile={SYSTEM_KNOWN_HOSTS} {folder}/known_hosts"
        Path(folder, "known_hosts").write_text("".join(f"{line}\n" for line in way.known))
        ran = ansible_runner.run(
            private_data_dir=folder,
            project_dir=str(part.playbook.parent),
            playbook=str(part.playbook),
            inventory=inventory(part, Path(folder), known),
            limit=part.who.name,
            cmdline=way.arguments,
            passwords=way.answers,
            envvars={"PATH": ansible.tools(), "ANSIBLE_SSH_EXTRA_ARGS": shlex.join(("-o", known))},
            timeout=int(LIMIT * part.timeout_scale),
            event_handler=teller.take,
            suppress_env_files=True,
            quiet=True,
        )
    if ran.status != "successful":
        raise teller.failure(ran.status)


def way_of(who: Reached) -> Way:
    """As the machine's connection has it, which is open: whose key is refused was not believed before."""
    if not isinstance(who.host, SshHost):
        return Way(root=os.geteuid() == 0)
    at = who.host.connection
    user, how = at.address.partition("@")[0], at.how
    return Way(at.shown_keys(), user == "root", how.sudo_password, how.passphrase)


def inventory(part: Part, folder: Path, known: str) -> str:
    """The user's own, if it is Ansible's and has the machine; else one that is made for this run."""
    found, machine = part.inventory, part.who.machine
    if found.ansible and machine in found.machines:
        return found.ansible
    more = () if machine in found.machines else (machine,)
    first = known.replace("=", " ", 1)
    return str(for_ansible.write(found, folder, lambda each: f"{first}\n{logins.ssh_config(each)}", more))


class Teller:
    """Ansible's events as kubeboot's: a task is a step; what goes wrong is kept for the error."""

    def __init__(self, part: Part, emit: Emit) -> None:
        self._part, self._emit = part, emit
        self._failed = ""
        self._said: list[str] = []

    def take(self, event: Mapping[str, Any]) -> bool:
        """One event of Ansible's; False, so that ansible-runner keeps no file of it."""
        kind, data = str(event.get("event")), event.get("event_data") or {}
        self._said = [*self._said, *str(event.get("stdout") or "").splitlines()][-40:]
        for told in self._events(kind, data):
            self._emit(told)
        return False

    def _events(self, kind: str, data: Mapping[str, Any]) -> Iterable[Event]:
        title = f"{self._part.playbook.name}: {data.get('task') or data.get('name')}"
        if kind == "playbook_on_task_start":
            yield StepStarted(self._part.step, self._part.on, title)
        if kind in _STATES:
            yield self._finished(title, kind, data)

    def _finished(self, title: str, kind: str, data: Mapping[str, Any]) -> StepFinished:
        result = data.get("res") or {}
        state, words = _STATES[kind], _words(result)
        if state == "failed" and data.get("ignore_errors"):
            state, words = "ok", f"failed, which the playbook ignores: {words}"
        elif state == "ok" and result.get("changed"):
            state = "changed"
        elif state == "failed":
            self._failed = f"task `{data.get('task')}`: {words}"
        task = f"{self._part.step}/{data.get('task')}"
        took = float(data.get("duration") or 0.0)
        return StepFinished(task, self._part.on, title, state, took, 0.0, words if state != "ok" else "")

    def failure(self, status: str) -> HookFailed:
        """The task's error; without one, what Ansible said last."""
        last = next((line for line in reversed(self._said) if line.strip()), status)
        why = self._failed or ("it took too long" if status == "timeout" else last)
        return HookFailed(
            f"{self._part.playbook.name}: {why}",
            hint="fix the playbook or the machine, then run the same command again",
            host=self._part.who.name,
            output="\n".join(self._said),
        )


def _words(result: Mapping[str, Any]) -> str:
    """A result in one line: its message, else the last line that the module wrote to stderr or stdout."""
    for name in ("msg", "stderr", "module_stderr", "stdout"):
        lines = [line for line in str(result.get(name) or "").splitlines() if line.strip()]
        if lines:
            return lines[-1] if name != "msg" else lines[0]
    return ""
