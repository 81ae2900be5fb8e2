"""What a cluster keeps for a workstation that has nothing but SSH, and what that makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kubeboot import errors, render
from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.machines import Hooks, NodeOptions
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import here, hooks, kept, layout, record, recorded
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.run import Others
from kubeboot.fleet.supply import Remembered, Supply
from kubeboot.fleet.tasks import Shop
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Access, Inventory, Machine
from kubeboot.kube import configmaps
from tests.fakes.api import FakeApi
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.keys import line
from tests.fakes.source import FakeSource

CP = Machine("cp-1", frozenset({"control_plane"}), Access(host="192.0.2.1", key_file="/gone"), "10.0.0.1")
ETCD = Machine("e-1", frozenset({"etcd"}), address="10.0.0.2")
URLS = ExternalEtcd(endpoints=("https://10.0.0.2:2379",))
SPEC = ClusterSpec(
    control_plane_endpoint="10.0.0.1:8443", etcd=Etcd(external=URLS), node=NodeOptions(labels={"a": "b"})
)


class Cluster:
    """A lead with an API in memory."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.lead = Reached(CP, FakeHost("cp-1"), Facts("cp-1"))  # type: ignore[arg-type]

    def others(self, name: str) -> Others:
        return Others()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    made = FakeApi()
    made.put(dict(configmaps.kubeboot_config(SPEC, "10.0.0.1:8443")))
    monkeypatch.setattr(Supply, "_opened", lambda self, arch: FakeSource())
    monkeypatch.setattr(here, "api", lambda *_, **__: made)
    return made


def shop(inventory: Inventory) -> Shop:
    supply = Supply(SPEC, lambda event: None, peek=True)
    supply.source("amd64")
    return Shop(SPEC, supply, hooks.Hooks(inventory, lambda event: None))


def keep(api: FakeApi, *machines: Machine, **shown: str) -> None:
    inventory = Inventory("hosts.ini", machines)
    keys = {name.replace("_", "-"): (line,) for name, line in shown.items()}
    task = record.task(Cluster(api), inventory, shop(inventory), keys)  # type: ignore[arg-type]
    secret = next(step for step in task.plan.steps if "kubeboot-fleet" in step.id)
    api.put(dict(secret.obj))  # type: ignore[attr-defined]


def opener(machine: Machine) -> Any:
    host = FakeHost(machine.name)
    host.files["/etc/kubernetes/admin.conf"] = File(b"")
    return host


def test_machines_description_and_sums_come_from_the_cluster(api: FakeApi) -> None:
    keep(api, CP, ETCD)
    found = kept.fetch("ops@192.0.2.1:2222", opener)
    assert found.inventory.machines == (CP, ETCD)
    assert found.inventory.groups["kube_control_plane"] == ("cp-1",)
    assert found.inventory.cluster["controlPlaneEndpoint"] == "10.0.0.1:8443"
    assert found.inventory.cluster["node"] == {"labels": {"a": "b"}}
    assert found.catalogs["amd64"] == FakeSource().catalog()


def test_the_host_keys_that_were_seen_come_from_the_cluster(api: FakeApi) -> None:
    first, second = line("10.0.0.1"), line("[10.0.0.2]:2222", "B")
    keep(api, CP, ETCD, cp_1=first, e_1=second)
    keep(api, CP, ETCD)
    names = {"10.0.0.1": (first.partition(" ")[2],), "[10.0.0.2]:2222": (second.partition(" ")[2],)}
    assert kept.fetch("192.0.2.1", opener).host_keys == names
    keep(api, CP)
    assert kept.fetch("192.0.2.1", opener).host_keys.keys() == {"10.0.0.1"}


@pytest.mark.parametrize("bad", [["* ssh-ed25519 AAAA"], ["host"], "host", [7], {"a": "b"}])
def test_host_keys_that_are_none_are_refused(api: FakeApi, bad: object) -> None:
    keep(api, CP, cp_1=line("10.0.0.1"))
    secret = dict(api.get("v1", "Secret", "kubeboot-fleet", "kube-system") or {})
    api.put({**secret, "data": {**secret["data"], "host-keys.json": recorded.dumped({"cp-1": bad})}})
    with pytest.raises(errors.ConfigInvalid) as raised:
        kept.fetch("192.0.2.1", opener)
    assert raised.value.reason == "KB_FLEET_RECORD"


REFUSED, LEFT_OUT, OF_MACHINES = "refused", "never taken from a cluster", "read by machines, as their own"
FILES = {
    "Audit.policyFile": REFUSED,
    "Admission.configFile": REFUSED,
    "Patches.directory": REFUSED,
    **{f"Artifacts.{name}": LEFT_OUT for name in ("bundle", "directory", "caFile", "credentialsFile")},
    **{f"Artifacts.{name}": LEFT_OUT for name in ("lockFile", "cacheDir")},
    **{f"Hooks.{name}": LEFT_OUT for name in Hooks.model_fields},
    "SshOptions.keyFile": LEFT_OUT,
    "ClusterSpec.registryCredentialsFile": OF_MACHINES,
    "Registry.caFile": OF_MACHINES,
    **{f"ExternalEtcd.{name}": OF_MACHINES for name in ("caFile", "certFile", "keyFile")},
    "Etcd.dataDir": OF_MACHINES,
    "HostPathMount.hostPath": OF_MACHINES,
    "HostPathMount.mountPath": OF_MACHINES,
    "AuditLog.path": OF_MACHINES,
}
"""Every field that names a file or directory, and what becomes of it when a cluster says it."""


def test_it_is_known_of_every_field_who_reads_the_file_that_it_names() -> None:
    schema = ClusterSpec.model_json_schema(by_alias=True)
    models = {**schema["$defs"], "ClusterSpec": schema}
    fields = {f"{name}.{field}" for name, model in models.items() for field in model.get("properties", ())}
    named = re.compile(r"(File|[dD]ir|[dD]irectory|bundle|[pP]ath)$")
    assert {field for field in fields if named.search(field) or field.startswith("Hooks.")} == FILES.keys()


def told(api: FakeApi, said: dict[str, Any]) -> None:
    """The ConfigMap as somebody else could write it."""
    config = dict(configmaps.kubeboot_config(SPEC, "10.0.0.1:8443"))
    whole = {**render.load(config["data"]["cluster.yaml"]), **said}
    api.put({**config, "data": {"cluster.yaml": render.dump(whole)}})


@pytest.mark.parametrize("field", ["audit.policyFile", "admission.configFile", "patches.directory"])
def test_no_file_of_the_workstation_is_read_on_a_clusters_word(
    api: FakeApi, tmp_path: Path, field: str
) -> None:
    section, _, name = field.partition(".")
    file = tmp_path / "credentials"
    file.write_text("token: hunter2\n")
    told(api, {section: {name: str(file)}})
    with pytest.raises(errors.ConfigInvalid) as raised:
        kept.fetch("192.0.2.1", opener)
    assert raised.value.reason == "KB_CLUSTER_FILES"
    assert f"{field}: {file}" in raised.value.message and "hunter2" not in str(raised.value)


def test_nor_are_its_bundles_locks_playbooks_and_keys_chosen_by_a_cluster(api: FakeApi) -> None:
    names = ("bundle", "directory", "caFile", "credentialsFile", "lockFile", "cacheDir")
    ssh = {"keyFile": "/mine/key"}
    told(
        api,
        {
            "artifacts": {name: f"/mine/{name}" for name in names},
            "hooks": dict.fromkeys(Hooks.model_fields, "/mine/book.yml"),
            "hosts": [{"name": "cp-1", "role": "control-plane", "ssh": ssh}],
            "registryCredentialsFile": "/machines/config.json",
        },
    )
    found = kept.fetch("192.0.2.1", opener).inventory.cluster
    assert "/mine" not in str(found) and found["registryCredentialsFile"] == "/machines/config.json"


def test_where_etcds_machines_are_known_its_urls_follow_from_them(api: FakeApi) -> None:
    keep(api, CP, ETCD)
    assert "external" not in kept.fetch("192.0.2.1", opener).inventory.cluster["etcd"]
    keep(api, CP)
    found = kept.fetch("192.0.2.1", opener).inventory.cluster["etcd"]
    assert found["external"]["endpoints"] == ["https://10.0.0.2:2379"]
    assert layout.described(SPEC, Inventory("x", (CP,))) is SPEC


def test_without_an_inventory_the_nodes_are_the_machines(api: FakeApi) -> None:
    for name, labels in (("a", {"node-role.kubernetes.io/control-plane": ""}), ("b", {})):
        addresses = [{"type": "InternalIP", "address": f"10.0.0.{name}"}]
        api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                 "status": {"addresses": addresses}})  # fmt: skip
    found = kept.fetch("ops@192.0.2.1:2222", opener).inventory.machines
    assert [(m.name, m.role, m.access.host, m.access.user, m.access.port) for m in found] == [
        ("a", "control_plane", "10.0.0.a", "ops", 2222),
        ("b", "worker", "10.0.0.b", "ops", 2222),
    ]


def test_a_machine_without_the_administrators_file_is_no_control_plane(api: FakeApi) -> None:
    with pytest.raises(errors.Unreachable) as raised:
        kept.fetch("192.0.2.1", lambda machine: FakeHost(machine.name))  # type: ignore[arg-type, return-value]
    assert raised.value.reason == "KB_NO_CONTROL_PLANE"


@pytest.mark.parametrize("where", ["", "a:b", "2001:db8::1", "@host", "ops@"])
def test_what_names_no_machine_is_refused(where: str) -> None:
    with pytest.raises(errors.UsageProblem):
        kept.fetch(where, opener)


def test_the_sums_stand_in_for_a_bundle_that_is_not_here() -> None:
    catalogs = {"amd64": FakeSource().catalog()}

    def supply(**artifacts: Any) -> Supply:
        spec = ClusterSpec.model_validate({"artifacts": artifacts})
        return Supply(spec, lambda event: None, peek=True, kept=catalogs)

    assert isinstance(supply().source("amd64"), Remembered)
    assert supply().source("amd64").catalog() == catalogs["amd64"]
    with pytest.raises(errors.ConfigInvalid):
        supply(bundle="/no/such/bundle").source("amd64")
