"""A fleet's parts by themselves: ledger, kept inventory, what may change, kubeconfigs, ssh's words."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest

from kubeboot import errors, render
from kubeboot.config.components import ApiServer, Etcd, ExternalEtcd
from kubeboot.config.spec import ClusterSpec, LoadBalancer, Networking
from kubeboot.engine.events import Event, HostFinished
from kubeboot.fleet import logins, merge, reach, recorded, ways
from kubeboot.fleet.ledger import Ledger, failure
from kubeboot.fleet.orders_fleet import MergeOptions
from kubeboot.fleet.remote import Lines
from kubeboot.host.ssh.login import Login
from kubeboot.inventory.model import Access, Machine
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki.kubeconfig import Kubeconfig, encode
from kubeboot.plan import fleet as planning


def machine(name: str = "w-1", **access: Any) -> Machine:
    return Machine(name, frozenset({"worker"}), Access(**access))


def test_stages_of_a_machine_add_up_and_are_told_once() -> None:
    told: list[Event] = []
    ledger = Ledger(told.append)
    ledger.add(HostFinished("a", "changed", ok=1, changed=2, seconds=1.0), last=False)
    assert told == [] and ledger.is_good("a")
    ledger.add(HostFinished("a", "ok", ok=3, seconds=2.0))
    assert told == [HostFinished("a", "changed", ok=4, changed=2, seconds=3.0)]


def test_who_has_failed_is_out_and_is_not_told_again() -> None:
    told: list[Event] = []
    ledger = Ledger(told.append)
    ledger.fail({"a": errors.Unreachable("a: no answer", hint="look")})
    ledger.skip(["a", "b"], "a failed before")
    assert ledger.good({"a": 1, "b": 2, "c": 3}) == {"c": 3}
    assert [(e.host, e.state) for e in told if isinstance(e, HostFinished)] == [
        ("a", "unreachable"),
        ("b", "skipped"),
    ]


def test_a_connection_lost_after_something_was_done_is_a_failure() -> None:
    lost = errors.Unreachable("gone")
    assert (failure("a", lost).state, failure("a", lost, ok=1).state) == ("unreachable", "failed")


def test_work_goes_on_when_some_of_it_fails() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise errors.TimedOut("late")
        return number * 10

    done, failed = reach.each({"a": 1, "b": 2, "c": 3}, work)
    assert done == {"a": 10, "c": 30} and failed["b"].message == "late"


def test_ssh_hears_the_inventory_first_and_the_users_own_configuration_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host *\n  User fallback\n  Port 2200\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    given = machine(host="10.0.0.9", user="ops", options=(("ProxyJump", "gate"),))
    found = Login("w-1", logins.ssh_config(given)).connection()
    assert (found.host, found.user, found.port) == ("10.0.0.9", "ops", 2200)
    assert found.gateway is not None and found.gateway.original_host == "gate"


def test_what_a_users_configuration_begins_with_holds_for_jump_hosts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("User fallback\nPort 2200\nHost other\n  Port 22\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    given = machine(host="10.0.0.9", user="ops", options=(("ProxyJump", "gate"),))
    found = Login("w-1", logins.ssh_config(given)).connection()
    gate = found.gateway
    assert (found.user, found.port) == ("ops", 2200)
    assert gate is not None and (gate.user, gate.port) == ("fallback", 2200)


def test_a_configuration_of_its_own_takes_the_users_place(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host w-1\n  Port 2201\n")
    assert Login("w-1", logins.ssh_config(machine(config=str(tmp_path / "config")))).connection().port == 2201


def test_the_inventory_that_is_kept_comes_back_without_passwords() -> None:
    given = Machine(
        "cp-1",
        frozenset({"control_plane", "etcd"}),
        Access(
            host="10.0.0.1", options=(("ProxyJump", "gate"),), password="hunter2", sudo_password="hunter3"
        ),
        address="192.168.0.1",
        labels=(("disk", "ssd"),),
        taints=(("gpu", "yes", "NoSchedule"),),
    )
    text = recorded.encode([given])
    assert b"hunter" not in base64.b64decode(text)
    (found,) = recorded.decode(text)
    assert found.access.options == given.access.options and found.access.password is None
    assert (found.name, found.roles, found.address) == (given.name, given.roles, given.address)
    assert (found.labels, found.taints) == (given.labels, given.taints)


def facts(**spec: Any) -> ClusterFacts:
    made = ClusterSpec(control_plane_endpoint="10.0.0.1:8443", kubernetes_version="v1.36.4", **spec)
    return ClusterFacts(b"ca", made, "", (("10.0.0.1", 6443),), "v1.36.4")


def test_what_the_description_leaves_open_stays_as_it_is() -> None:
    found = planning.wanted(ClusterSpec(), facts())
    assert found.spec.kubernetes_version == "v1.36.4"
    assert found.spec.control_plane_endpoint == "10.0.0.1:8443"


def test_where_the_balancer_is_stays_open_too() -> None:
    there = facts(load_balancer=LoadBalancer(mode="machines"))
    assert planning.wanted(ClusterSpec(), there).spec.load_balancer.mode == "machines"
    assert (
        planning.wanted(ClusterSpec(load_balancer=LoadBalancer(port=9443)), there).spec.load_balancer.port
        == 9443
    )


def test_an_etcd_elsewhere_stays_where_it_is() -> None:
    external = Etcd(external=ExternalEtcd(endpoints=("https://192.0.2.9:2379",)))
    assert planning.wanted(ClusterSpec(), facts(etcd=external)).spec.etcd == external


def test_secrets_that_are_encrypted_stay_readable() -> None:
    there = facts(api_server=ApiServer(encrypt_secrets=True))
    asked = ClusterSpec(api_server=ApiServer(cert_sans=("k8s.example.org",)))
    found = planning.wanted(asked, there).spec.api_server
    assert found.encrypt_secrets and found.cert_sans == ("k8s.example.org",)
    with pytest.raises(errors.ConfigInvalid, match=r"apiServer\.encryptSecrets"):
        planning.wanted(ClusterSpec(api_server=ApiServer(encrypt_secrets=False)), there)


def test_a_kubelet_setting_reaches_every_machine() -> None:
    found = planning.wanted(ClusterSpec(kubelet={"maxPods": 42}), facts())
    assert render.load(found.kubelet_config)["maxPods"] == 42


@pytest.mark.parametrize(
    "asked",
    [
        ClusterSpec(kubernetes_version="v1.37.1"),
        ClusterSpec(cluster_name="other"),
        ClusterSpec(networking=Networking(pod_subnet="10.9.0.0/16")),
        ClusterSpec(load_balancer=LoadBalancer(mode="external")),
        ClusterSpec(api_server=ApiServer(encrypt_secrets=True)),
        ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=("https://192.0.2.9:2379",)))),
    ],
)
def test_what_cannot_be_changed_is_refused(asked: ClusterSpec) -> None:
    with pytest.raises(errors.ConfigInvalid) as raised:
        planning.wanted(asked, facts())
    assert raised.value.reason == "KB_IMMUTABLE"


def test_a_machine_has_its_labels_and_taints_over_those_of_all() -> None:
    spec = ClusterSpec.model_validate({"node": {"labels": {"a": "1", "b": "1"}}})
    given = Machine("w-1", frozenset({"worker"}), labels=(("b", "2"),), taints=(("x", "", "NoExecute"),))
    found = planning.spec_of(spec, given).node
    assert (found.name, found.labels) == ("w-1", {"a": "1", "b": "2"})
    assert found.taints is not None and found.taints[0].effect == "NoExecute"


def config(authority: bytes = b"ca") -> Kubeconfig:
    return Kubeconfig("kubernetes", "https://10.0.0.1:8443", authority, "kubernetes-admin", b"crt", b"key")


def test_a_kubeconfig_is_added_beside_the_others() -> None:
    there = render.load(encode(config()).replace(b"kubernetes", b"old"))
    found = merge.merged(there, config(), "lab", "x")
    assert [row["name"] for row in found["clusters"]] == ["old", "lab"]
    assert found["current-context"] == "lab" and found["contexts"][1]["context"]["user"] == "lab-admin"
    assert merge.merged(found, config(), "lab", "x") == found


def test_another_cluster_of_that_name_is_not_overwritten() -> None:
    there = merge.merged({}, config(b"other"), "lab", "x")
    with pytest.raises(errors.ConfigInvalid, match="another cluster called lab"):
        merge.merged(there, config(), "lab", "x")


def test_the_kubeconfig_is_its_owners_alone(tmp_path: Path) -> None:
    source, to = tmp_path / "admin.conf", tmp_path / "home" / "config"
    source.write_bytes(encode(config()))
    assert merge.merge(MergeOptions(str(to), path=str(source), context="lab")) == "lab"
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert render.load(to.read_bytes())["current-context"] == "lab"


def test_whole_lines_come_out_of_a_commands_bytes() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for part in (b"one\ntw", b"o\n", b"three"):
        lines.write(part)
    lines.end()
    assert said == ["one", "two", "three"]


class Silent:
    """A machine that refuses every connection."""

    def dial(self, address: str, port: int, timeout: float) -> Any:
        raise ConnectionRefusedError(f"{address}:{port}")


class Speaking(Silent):
    def dial(self, address: str, port: int, timeout: float) -> Any:
        return (address, port)


def test_an_address_is_dialled_by_its_owner_else_by_any_other() -> None:
    found = ways.Ways({"10.0.0.1": Silent(), "10.0.0.2": Speaking()})  # type: ignore[dict-item]
    assert found.dial("10.0.0.1", 6443, 1.0) == ("10.0.0.1", 6443)
    with pytest.raises(OSError, match=r"10\.0\.0\.1:6443"):
        ways.Ways({"10.0.0.1": Silent()}).dial("10.0.0.1", 6443, 1.0)  # type: ignore[dict-item]
