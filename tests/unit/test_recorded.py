"""Who may write the cluster's record of its machines must not decide what a workstation executes."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot import errors
from kubeboot.fleet import logins, recorded
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from kubeboot.inventory.model import Access, Inventory, Machine, checked

WORKER = frozenset({"worker"})
ANY_KEY = (("StrictHostKeyChecking", "no"), ("UserKnownHostsFile", "/dev/null"))


def written(name: str = "w-1", **access: Any) -> str:
    """The Secret with one machine, as anybody could write it."""
    (made,) = recorded.loaded(recorded.encode([Machine("w-1", WORKER)]))
    return recorded.dumped([{**made, "name": name, "access": {**made["access"], **access}}])


def found(**access: Any) -> Machine:
    (machine,) = recorded.decode(written(**access))
    return machine


def test_commands_files_and_this_very_machine_are_not_believed(tmp_path: Any) -> None:
    bad = [
        ["ProxyCommand", "touch /tmp/x"],
        ["proxycommand", "id"],
        *map(list, ANY_KEY),
        ["Include", "/tmp/x"],
    ]
    (tmp_path / "config").write_text("Host *\n  ProxyCommand id\n")
    machine = found(options=bad, local=True, config=str(tmp_path / "config"), password="x")
    assert machine.access == Access()
    assert isinstance(logins.open_host(machine), SshHost)


def test_where_a_machine_is_comes_back() -> None:
    where = (("ProxyJump", "ops@gate:22,[2001:db8::1]:2222"), ("HostKeyAlias", "w"))
    key = "SHA256:" + "A" * 43
    given = Machine(
        "w-1", WORKER, Access(host="10.0.0.9", user="DOM\\ops", port=22, options=where, host_keys=(key,))
    )
    assert recorded.decode(recorded.encode([given])) == (given,)


def test_a_users_own_words_are_not_kept_in_the_cluster() -> None:
    options = (("ProxyCommand", "sshpass -p hunter2 ssh -W %h:%p gate"), *ANY_KEY, ("ProxyJump", "$(id)"))
    text = str(recorded.loaded(recorded.encode([Machine("w-1", WORKER, Access(options=options))])))
    assert "hunter2" not in text and "Known" not in text and "$(id)" not in text


def test_this_machine_is_kept_by_its_address() -> None:
    text = recorded.encode([Machine("w-1", WORKER, Access(local=True), "10.0.0.9")])
    assert recorded.decode(text)[0].access == Access(host="10.0.0.9")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "../../root/.ssh/config"},
        {"name": "a b"},
        {"name": "-oProxyCommand=id"},
        {"host": "h\n  ProxyCommand id"},
        {"host": "$(id)"},
        {"host": "-oProxyCommand=id"},
        {"user": "ops\nMatch exec id"},
        {"user": "ops;id"},
        {"key_file": "k\nMatch exec id"},
        {"port": "22\nMatch exec id"},
        {"host_keys": ["ssh-ed25519\nMatch exec id"]},
        {"host": ["x"]},
        {"options": "x"},
    ],
)
def test_words_that_mean_something_to_ssh_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigInvalid) as raised:
        recorded.decode(written(**bad))
    assert raised.value.reason == "KB_FLEET_RECORD" and "delete secret" in str(raised.value.hint)


def test_an_inventory_with_such_words_is_refused_at_once() -> None:
    machine = Machine("../cp", frozenset({"control_plane"}), Access(user="a b"))
    with pytest.raises(errors.ConfigInvalid) as raised:
        checked(Inventory("hosts.ini", (machine,)))
    assert "cannot be a name" in str(raised.value.output) and "cannot be a user" in str(raised.value.output)


def test_what_all_of_an_inventorys_machines_are_reached_by_holds_for_one_that_leaves() -> None:
    way = Access(options=(("ProxyCommand", "nc gate %h"),))
    same = Inventory("x", tuple(Machine(name, WORKER, way) for name in ("a", "b")))
    other = Inventory("x", (*same.machines, Machine("c", WORKER)))
    assert recorded.as_the_others(found(), same).access == way
    assert recorded.as_the_others(found(), other).access == Access()
    config = logins.ssh_config(recorded.as_the_others(found(host="10.0.0.9"), same))
    assert Login("w-1", config).connection().host == "10.0.0.9"
