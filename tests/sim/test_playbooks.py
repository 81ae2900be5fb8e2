"""Playbooks by the real ansible-runner, on a real sshd."""

from __future__ import annotations

import getpass
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.engine.events import Event, StepFinished
from kubeboot.fleet import logins, playbooks
from kubeboot.fleet.playbooks import HookFailed, Part
from kubeboot.fleet.reach import Reached
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from kubeboot.inventory.model import Access, Inventory, Machine
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd

GOOD = """\
- hosts: kube_node
  gather_facts: false
  become: false
  tasks:
  - name: Write a file
    copy: {{content: "{{{{ inventory_hostname }}}}", dest: {folder}/written}}
  - name: Not today
    command: "false"
    when: false
  - name: Fail a little
    command: "false"
    ignore_errors: true
"""
BAD = """\
- hosts: all
  gather_facts: false
  become: false
  tasks:
  - name: Look for what is not there
    command: cat /no/such/file
"""


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """Its key is in no known-hosts file of ssh's: kubeboot alone has been told of it."""
    with servers.running(tmp_path / "sshd", "w-1") as server:
        text = server.ssh_config.replace(f"{server.folder}/known_hosts", "/dev/null")
        (server.folder / "config").write_text(text)
        yield server


@pytest.fixture
def who(sshd: Sshd) -> Iterator[Reached]:
    machine = Machine("w-1", frozenset({"worker"}), Access(config=str(sshd.folder / "config")))
    known = sshd.folder / "known_hosts"
    host = SshHost(Connection(Login("w-1", logins.ssh_config(machine), known_hosts=(known,))))
    yield Reached(machine, host, host.facts())
    host.close()


def ran(part: Part) -> dict[str, str]:
    seen: list[Event] = []
    try:
        playbooks.play(part, seen.append)
    finally:
        ends = {e.step.rpartition("/")[2]: e.state for e in seen if isinstance(e, StepFinished)}
    return ends


def book(server: Sshd, text: str) -> Path:
    path = server.folder / "book.yml"
    path.write_text(text)
    return path


def part(server: Sshd, text: str, inventory: Inventory, who: Reached) -> Part:
    return Part(inventory, who, book(server, text), "w-1", "hook/before_host")


def test_ansible_is_here() -> None:
    assert importlib.util.find_spec("ansible"), "the development environment has the extra `ansible`"


def test_a_machine_of_the_cluster_file_is_reached_as_kubeboot_reaches_it(sshd: Sshd, who: Reached) -> None:
    dead = Machine("w-2", frozenset({"worker"}), Access(host="192.0.2.1"))
    given = Inventory("cluster.yaml", (who.machine, dead))
    text = GOOD.format(folder=sshd.folder)
    assert ran(part(sshd, text, given, who)) == {"Write a file": "changed", "Not today": "skipped",
                                            "Fail a little": "ok"}  # fmt: skip
    assert (sshd.folder / "written").read_text() == "w-1"


def test_ansibles_own_inventory_is_taken_as_it_is_and_a_failure_has_the_tasks_words(
    sshd: Sshd, who: Reached
) -> None:
    options = "-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
    hosts = sshd.folder / "hosts.ini"
    hosts.write_text(
        f"[kube_node]\nw-1 ansible_host=127.0.0.1 ansible_port={sshd.port} ansible_user={getpass.getuser()} "
        f"ansible_ssh_private_key_file={sshd.folder}/client_key ansible_ssh_common_args='{options}'\n"
    )
    given = Inventory(str(hosts), (who.machine,), ansible=str(hosts))
    with pytest.raises(HookFailed) as raised:
        ran(part(sshd, BAD, given, who))
    assert "task `Look for what is not there`" in raised.value.message
    assert raised.value.reason == "KB_HOOK" and raised.value.host == "w-1"
