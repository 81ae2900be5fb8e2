"""The lab's command line, and the inventory that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from click import testing
from lablib import machine_inventory, machine_state, main

from kubeboot import errors
from kubeboot.inventory import ansible
from tests.unit.lab_support import TOP, lab

pytestmark = pytest.mark.usefixtures("lab_state")

SSH_CONFIG = """\
Host cp-1
  HostName 127.0.0.1
  User vagrant
  Port 32768
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  IdentityFile /home/u/.vagrant.d/insecure_private_key

Host worker-1
  HostName 127.0.0.1
  User vagrant
  Port 32770
  IdentityFile /home/u/.vagrant.d/insecure_private_key
"""


# ---- the inventory


def test_the_inventory_has_the_usual_groups_and_how_to_reach_each_machine() -> None:
    made = machine_inventory.inventory(lab(), SSH_CONFIG)
    assert made["kube_control_plane"] == made["etcd"] == {"hosts": ["cp-1"]}
    assert made["kube_node"] == {"hosts": ["worker-1"]}
    variables = made["_meta"]["hostvars"]["worker-1"]
    assert variables["ansible_host"] == "127.0.0.1"
    assert variables["ansible_port"] == 32770
    assert variables["ansible_user"] == "vagrant"
    assert variables["ansible_ssh_private_key_file"] == "/home/u/.vagrant.d/insecure_private_key"
    assert variables["ip"] == "192.168.56.21"


def test_every_role_of_the_lab_has_a_group_that_kubeboot_knows() -> None:
    assert set(machine_inventory.GROUPS) <= set(ansible.GROUPS)


# ---- the command line


def invoke(*arguments: str) -> testing.Result:
    return testing.CliRunner().invoke(main.lab, arguments, catch_exceptions=True)


def test_every_command_is_where_the_table_says() -> None:
    context = click.Context(main.lab)
    assert [main.lab.get_command(context, name).name for name in main.COMMANDS] == [*main.COMMANDS]  # type: ignore[union-attr]
    assert main.lab.get_command(context, "none") is None


def test_the_inventory_needs_nothing_that_takes_long_to_import() -> None:
    code = "import sys; from lablib import main, machine_notes; print({*sys.modules} & {'paramiko', 'yaml'})"
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (TOP, TOP / "vagrant")))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_hosts_prints_names_addresses_and_roles() -> None:
    machine_state.save(lab())
    result = invoke("hosts")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {"name": "cp-1", "role": "control_plane", "address": "192.168.56.11"},
        {"name": "worker-1", "role": "worker", "address": "192.168.56.21"},
    ]


def test_a_lab_or_a_machine_that_is_not_there_is_a_mistake_in_the_command() -> None:
    assert isinstance(invoke("hosts", "--name", "none").exception, errors.UsageProblem)
    machine_state.save(lab())
    missing = invoke("ssh", "cp-9", "--", "true").exception
    assert isinstance(missing, errors.UsageProblem)
    assert missing.hint == "it has cp-1, worker-1"


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        (["cp-1", "--", "ls", "-l", "a b"], ("ls", "-l", "a b")),
        (["cp-1", "kubectl", "get", "--name", "x"], ("kubectl", "get", "--name", "x")),
        (["cp-1", "ls | wc -l"], ("sh", "-c", "ls | wc -l")),
        (["cp-1", "--", "--help", "x"], ("--help", "x")),
    ],
)
def test_a_command_reaches_the_machine_as_it_was_given(
    arguments: list[str], argv: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Host:
        def run(self, argv: tuple[str, ...], *_streams: object) -> int:
            seen.append(argv)
            return 7

        def close(self) -> None:
            seen.append(("closed",))

    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr("lablib.machine_vagrant.connect", lambda lab, machine: Host())
    machine_state.save(lab())
    assert invoke("ssh", *arguments).exit_code == 7
    assert seen == [argv, ("closed",)]
