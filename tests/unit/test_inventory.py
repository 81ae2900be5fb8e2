"""Inventories: the samples as they are, Ansible's variables, kubespray's groups, the Cluster file's hosts."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config import loader
from kubeboot.config.loader import Sources
from kubeboot.inventory import ansible, listed, variables
from kubeboot.inventory.model import Inventory, Machine

TOP = Path(__file__).parents[2]
SAMPLES = TOP / "inventories"


def of(*hosts: str, **groups: Any) -> dict[str, Any]:
    return {"_meta": {"hostvars": {host: {} for host in hosts}}, **groups}


def machine(**given: Any) -> Machine:
    return variables.machine("m", {"worker"}, given, Path("/"))


def roles(found: Inventory) -> dict[str, str]:
    return {m.name: m.role for m in found.machines}


@pytest.mark.parametrize(
    ("sample", "wanted"),
    [
        ("single.ini", {"node-1": "control_plane"}),
        ("ha-3", {f"cp-{n}": "control_plane" for n in (1, 2, 3)} | {f"worker-{n}": "worker" for n in (1, 2)}),
        (
            "separate-etcd",
            {f"cp-{n}": "control_plane" for n in (1, 2)}
            | {f"etcd-{n}": "etcd" for n in (1, 2, 3)}
            | {f"worker-{n}": "worker" for n in (1, 2)},
        ),
        ("edge", {"edge-cp": "control_plane", "edge-1": "worker", "edge-2": "worker"}),
    ],
)
def test_the_samples_for_ansible(sample: str, wanted: dict[str, str]) -> None:
    assert roles(ansible.read(SAMPLES / sample)) == wanted


def test_ansible_leaves_no_variable_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "hosts.ini").write_text("[kube_control_plane]\ncp-1 ansible_password=hunter2\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    assert ansible.read(tmp_path / "hosts.ini").machines[0].access.password == "hunter2"
    assert not list((tmp_path / "tmp").iterdir())


def test_a_machine_that_is_control_plane_and_worker_runs_pods() -> None:
    found = ansible.read(SAMPLES / "single.ini")
    assert found.machines[0].taints == () and found.cluster == {"single": True}


def test_group_vars_and_host_vars_reach_the_machines() -> None:
    ha = {m.name: m for m in ansible.read(SAMPLES / "ha-3").machines}
    assert (ha["cp-1"].access.user, ha["cp-1"].access.host, ha["cp-1"].address) == (
        "ops",
        "192.0.2.11",
        "10.0.0.11",
    )
    assert ha["worker-2"].labels == (("disk", "ssd"),)
    assert ha["worker-2"].taints == (("gpu", "yes", "NoSchedule"),)
    edge = {m.name: m.access for m in ansible.read(SAMPLES / "edge").machines}
    assert edge["edge-2"].options[0] == ("ProxyJump", "ops@gateway.example.org")
    assert edge["edge-2"].port == 2222 and ("ConnectTimeout", "30") in edge["edge-2"].options


def test_the_machines_of_a_cluster_file() -> None:
    spec = loader.load(Sources(files=[str(SAMPLES / "own-balancers" / "cluster.yaml")])).spec
    found = listed.read(spec, "cluster.yaml")
    assert [m.name for m in found.of("lb")] == ["lb-1", "lb-2"]
    worker = found.of("worker")[0]
    assert (worker.access.host, worker.access.port, worker.address) == ("192.0.2.21", 2222, "10.0.0.21")
    assert worker.taints == (("gpu", "yes", "NoSchedule"),)
    assert found.of("control_plane")[0].access.host == "10.0.0.11"


def test_a_script_is_an_inventory(tmp_path: Path) -> None:
    printed = of("a", kube_control_plane={"hosts": ["a"]})
    script = tmp_path / "hosts"
    script.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(printed)}\nE\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert roles(ansible.read(script)) == {"a": "control_plane"}


def test_groups_within_groups_and_old_names() -> None:
    groups = {
        "kube-master": {"children": ["masters"]},
        "masters": {"hosts": ["a"]},
        "kube-node": {"hosts": ["b"]},
    }
    assert roles(ansible.parse(of("a", "b", **groups), Path("/x"))) == {"a": "control_plane", "b": "worker"}


def test_all_that_is_wrong_comes_out_at_once(tmp_path: Path) -> None:
    bad = {"_meta": {"hostvars": {"a": {"ansible_connection": "winrm"}, "b": {"node_taints": ["x"]}}}}
    with pytest.raises(errors.ConfigInvalid) as raised:
        ansible.parse({**bad, "kube_node": {"hosts": ["a", "b"]}}, tmp_path)
    assert raised.value.reason == "KB_INVENTORY"
    assert "a: ansible_connection `winrm`" in str(raised.value.output) and "b: the taint" in str(
        raised.value.output
    )


@pytest.mark.parametrize("text", ["[kube_node\nx", "[kube_node]\nworker-1\n"])
def test_what_cannot_be_read_or_used_is_a_clear_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text(text)
    with pytest.raises(errors.ConfigInvalid) as raised:
        ansible.read(path)
    assert raised.value.reason == "KB_INVENTORY" and str(path) in raised.value.message


def test_without_ansible_core_the_finding_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.ConfigInvalid) as raised:
        ansible.read(SAMPLES / "ha-3")
    assert raised.value.reason == "KB_ANSIBLE" and "kubeboot[ansible]" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("-o ProxyJump=a,b", ("ProxyJump", "a,b")),
        ("-J a", ("ProxyJump", "a")),
        ("-oPort=22", ("Port", "22")),
        ('-o ProxyCommand="ssh -W %h:%p gate" -C', ("ProxyCommand", "ssh -W %h:%p gate")),
        ("-o 'StrictHostKeyChecking no'", ("StrictHostKeyChecking", "no")),
    ],
)
def test_ssh_arguments_are_options(arguments: str, wanted: tuple[str, str]) -> None:
    assert machine(ansible_ssh_common_args=arguments).access.options == (wanted,)


def test_variables_that_name_others_are_written_out() -> None:
    assert machine(ansible_host="{{ access_ip }}", access_ip="10.0.0.9").access.host == "10.0.0.9"
    with pytest.raises(ValueError, match="ansible_host is a template"):
        machine(ansible_host="{{ lookup('dns', 'x') }}")


def test_passwords_are_not_shown() -> None:
    found = machine(ansible_password="hunter2", ansible_become_password="hunter3")
    assert (found.access.password, found.access.sudo_password) == ("hunter2", "hunter3")
    assert "hunter" not in repr(found)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
PRINT = f"SHA256:{'+/' * 21}x"


@pytest.mark.parametrize(
    ("given", "pins"),
    [
        (None, ()),
        (f"{KEY} root@m", (KEY,)),
        (PRINT, (PRINT,)),
        ([KEY, f"ED25519 {PRINT}"], (KEY, f"ED25519 {PRINT}")),
    ],
)
def test_host_keys_are_pinned(given: object, pins: tuple[str, ...]) -> None:
    assert machine(kubeboot_host_key=given).access.host_keys == pins


@pytest.mark.parametrize(
    "text", ["ssh-ed25519", "SHA256:short", "ssh-ed25519 AAAA", "yes", KEY.replace("ed", "rs")]
)
def test_what_cannot_be_a_pin_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="neither a public key nor a fingerprint"):
        machine(kubeboot_host_key=text)


def test_a_password_that_is_still_vaulted_is_said() -> None:
    with pytest.raises(ValueError, match="ANSIBLE_VAULT_PASSWORD_FILE"):
        machine(ansible_become_password={"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"})


def test_machines_are_chosen_by_name_group_or_role() -> None:
    found = ansible.parse(
        of("a", "b", kube_control_plane={"hosts": ["a"]}, kube_node={"hosts": ["b"]}, rack={"hosts": ["b"]}),
        Path("/x"),
    )
    names = {
        each: [m.name for m in found.limited([each])] for each in ("a", "control-plane", "kube_node", "rack")
    }
    assert names == {"a": ["a"], "control-plane": ["a"], "kube_node": ["b"], "rack": ["b"]}
    assert len(found.limited([])) == 2
    with pytest.raises(errors.ConfigInvalid, match="no group or machine `nobody`"):
        found.limited(["nobody"])


def test_an_environment_that_is_not_active_has_its_tools_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`.venv/bin/kubeboot`, and what pipx makes: ansible-inventory is beside Python and not in PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert ansible.read(SAMPLES / "single.ini").machines


def test_a_plugin_that_ansible_cannot_load_is_no_fault_of_the_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible skips such a one with a warning, as it does a group that is none."""
    (tmp_path / "broken.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.setenv("ANSIBLE_VARS_PLUGINS", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_VARIABLE_PLUGINS_ENABLED", "host_group_vars,broken")
    assert ansible.read(SAMPLES / "single.ini").machines


def test_the_inventory_of_a_running_cluster(tmp_path: Path) -> None:
    nodes = {
        "items": [
            {
                "metadata": {"name": name, "labels": labels},
                "status": {"addresses": [{"type": "InternalIP", "address": address}]},
            }
            for name, labels, address in (
                ("cp-1", {"node-role.kubernetes.io/control-plane": ""}, "10.0.0.1"),
                ("w-1", {}, "10.0.0.2"),
            )
        ]
    }
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(nodes)}\nE\n")
    kubectl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run([SAMPLES / "cluster", "--list"], env=environment, check=True, capture_output=True)
    found = ansible.parse(json.loads(ran.stdout), Path("/x"))
    assert roles(found) == {"cp-1": "control_plane", "w-1": "worker"}
    assert found.machines[1].access.host == "10.0.0.2"
