"""The sample inventories, planned whole on machines in memory that have nothing yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeboot.config import loader
from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.loader import Sources
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.events import Event, StepFinished
from kubeboot.fleet import here, hooks, layout, planning
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.orders_fleet import FleetOptions
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.fleet.ways import Ways
from kubeboot.host.facts import Facts, Nic
from kubeboot.inventory import ansible, listed
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube import facts as cluster_facts
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import sealed
from kubeboot.steps.preflight import Surroundings
from tests.fakes import tls
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

SAMPLES = Path(__file__).parents[2] / "inventories"


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Supply, "source", lambda self, arch: FakeSource())


def opened(machine: Machine) -> FakeHost:
    number = sum(machine.name.encode()) % 200
    nic = Nic("eth0", (f"192.0.2.{number}/24",))
    facts = Facts(machine.name, machine_id=machine.name, cpus=2, nics=(nic,), default_nic="eth0",
                  default_source=f"192.0.2.{number}")  # fmt: skip
    return FakeHost(machine.name, facts)


def separate_etcd() -> tuple[ClusterSpec, Inventory]:
    return ClusterSpec(), ansible.read(SAMPLES / "separate-etcd")


def own_balancers() -> tuple[ClusterSpec, Inventory]:
    spec = loader.load(Sources(files=[str(SAMPLES / "own-balancers" / "cluster.yaml")])).spec
    return spec, listed.read(spec, "cluster.yaml")


def planned(found: tuple[ClusterSpec, Inventory]) -> dict[str, list[StepFinished]]:
    told: list[Event] = []
    result = planning.plan(FleetOptions(*found), told.append, opened)  # type: ignore[arg-type]
    assert {host.state for host in result.hosts} == {"drift"}, result.hosts
    steps = [event for event in told if isinstance(event, StepFinished)]
    return {m.name: [step for step in steps if step.host == m.name] for m in found[1].machines}


def ids(steps: list[StepFinished]) -> set[str]:
    return {step.step for step in steps}


def test_etcd_on_machines_of_its_own() -> None:
    steps = planned(separate_etcd())
    assert "etcd/ready" in ids(steps["etcd-1"]) and "control-plane/ready" not in ids(steps["etcd-1"])
    assert "join" in ids(steps["etcd-2"]) and "join" in ids(steps["cp-2"])
    assert "etcd/manifest" not in ids(steps["cp-1"]) and "control-plane/ready" in ids(steps["cp-1"])
    server = next(s for s in steps["cp-1"] if s.step == "control-plane/kube-apiserver")
    assert server.diff is None or "--etcd-servers=" in server.diff


def test_balancers_of_their_own() -> None:
    steps = planned(own_balancers())
    assert [s.title for s in steps["lb-1"] if s.step == "join"] == ["Join as a balancer"]
    assert not any(step.startswith("load-balancer/") for step in ids(steps["cp-1"]))


# --- every task of a cluster that is there, as a plan that hangs together --------------------------------


def shop(spec: ClusterSpec, inventory: Inventory) -> Shop:
    books = hooks.Hooks(inventory, lambda event: None)
    return Shop(spec, Supply(spec, lambda event: None, peek=True), books)


def reached(machine: Machine) -> Reached:
    host = opened(machine)
    return Reached(machine, host, host.facts())  # type: ignore[arg-type]


def cluster(lead: Reached, spec: ClusterSpec) -> Cluster:
    ca = tls.authority()
    given = dict.fromkeys(sealed.shared(external=spec.etcd.external is not None), b"x")
    given |= {f"{name}.{end}": data for name in ("ca", "front-proxy-ca", "etcd/ca")
              for end, data in (("crt", ca.certificate), ("key", ca.key))}  # fmt: skip
    found = ClusterFacts(
        ca.certificate, spec, "kind: KubeletConfiguration\n", (("192.0.2.9", 6443),), "v1.37.1"
    )
    return Cluster(lead, NoApi(), given, Ways({}), found, Surroundings())  # type: ignore[arg-type]


def tasks(made: Callable[[Reached], Task], inventory: Inventory) -> dict[str, Task]:
    return {machine.name: made(reached(machine)) for machine in inventory.machines}


def test_the_tasks_of_all_roles_are_plans_that_hang_together() -> None:
    spec, inventory = own_balancers()
    spec = layout.described(spec, inventory)
    lead = reached(inventory.of("control_plane")[0])
    there = spec.model_copy(update={"control_plane_endpoint": "k8s.example.org:8443"})
    made = tasks(lambda who: shop(spec, inventory).join(who, cluster(lead, there)), inventory)
    assert {name: task.node.role for name, task in made.items() if task.node} == {
        "lb-1": "load_balancer", "lb-2": "load_balancer", "cp-1": "control_plane", "cp-2": "control_plane",
        "cp-3": "control_plane", "worker-1": "worker",
    }  # fmt: skip
    for task in made.values():
        plans.ordered(plans.edges(task.plan))
        assert not task.member


def test_a_machine_of_etcd_must_reach_the_members_and_the_others_the_control_planes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where etcd has machines of its own, none of it is at an API server's address."""
    seen: list[Surroundings] = []
    monkeypatch.setattr(here, "findings", lambda scene, ignored: seen.append(scene.cluster) or ())
    monkeypatch.setattr(cluster_facts, "require_free_name", lambda *given: None)
    spec, inventory = ClusterSpec(), Inventory("hosts", ())
    there = cluster(reached(Machine("cp-1", frozenset({"control_plane"}))), spec)
    there = dataclasses.replace(there, around=Surroundings(control_planes=(("192.0.2.9", 6443),)))
    members = (("192.0.2.31", 2379),)
    for role, at in (("etcd", members), ("worker", ())):
        machine = reached(Machine("m", frozenset({role})))  # type: ignore[arg-type]
        node = NodeSettings("m", "192.0.2.40", role)  # type: ignore[arg-type]
        task = Task(machine, "m", plans.Plan("join", "", ()), NoApi(), node=node, others_at=at)
        shop(spec, inventory).examine(task, there)
    assert [around.control_planes for around in seen] == [members, (("192.0.2.9", 6443),)]


def test_a_balancer_that_has_joined_is_known_by_its_kubeconfig() -> None:
    spec, inventory = own_balancers()
    spec = layout.described(spec, inventory)
    who, lead = reached(inventory.machines[0]), reached(inventory.machines[2])
    who.host.files["/etc/kubernetes/load-balancer.conf"] = File(b"")  # type: ignore[attr-defined]
    there = spec.model_copy(update={"control_plane_endpoint": "k8s.example.org:8443"})
    assert shop(spec, inventory).join(who, cluster(lead, there)).member


def test_control_planes_get_into_etcd_by_what_its_machines_hand_out() -> None:
    spec, inventory = separate_etcd()
    first = reached(inventory.of("etcd")[0])
    etcd = EtcdMachines(first, frozenset(), Ways({}))
    made = shop(spec, inventory)
    plans.ordered(plans.edges(made.etcd(first, etcd).plan))
    placed = made.placed(etcd, spec, ["192.0.2.1", "192.0.2.2"])
    assert placed.spec.etcd.external is not None
    assert placed.spec.etcd.external.endpoints == ("https://192.0.2.1:2379", "https://192.0.2.2:2379")
    given = dict.fromkeys(sealed.EXTERNAL, b"x")
    founding = placed.found(reached(inventory.of("control_plane")[0]), given)
    installed = {step.id for step in founding.plan.steps if step.id.startswith("pki/external-etcd")}
    assert len(installed) == 3 and founding.given == given


def test_an_etcd_that_is_the_users_needs_its_files_only() -> None:
    urls = ("https://192.0.2.77:2379",)
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=urls)))
    inventory = Inventory("x", (Machine("cp-1", frozenset({"control_plane"})),))
    founding = shop(spec, inventory).found(reached(inventory.machines[0]))
    plans.ordered(plans.edges(founding.plan))
    assert not any(step.id.startswith("etcd/") for step in founding.plan.steps)
    found = shop(spec, inventory).examine(dataclasses.replace(founding), None)
    assert any(finding.name.startswith("ExternalEtcdFile") for finding in found)


def test_a_control_plane_needs_no_disk_for_an_etcd_that_is_elsewhere() -> None:
    spec, inventory = separate_etcd()
    etcd = EtcdMachines(reached(inventory.of("etcd")[0]), frozenset(), Ways({}))
    who = reached(inventory.of("control_plane")[0])
    who.host.sync = 0.5  # type: ignore[attr-defined]

    def found(made: Shop, task: Task) -> set[str]:
        return {finding.name.partition("-")[0] for finding in made.examine(task, None)}

    beside, placed = shop(spec, inventory), shop(spec, inventory).placed(etcd, spec, ["192.0.2.1"])
    assert "EtcdDisk" in found(beside, beside.prepare(who))
    early = found(placed, placed.prepare(who))
    assert not any(name.startswith(("EtcdDisk", "ExternalEtcd")) for name in early)
    known = found(placed, dataclasses.replace(placed.prepare(who), early=False))
    assert any(name.startswith("ExternalEtcd") for name in known)


@pytest.mark.parametrize(
    ("pods", "level"), [("10.244.0.0/16", None), ("10.244.0.0/22", "warning"), ("10.244.0.0/23", "error")]
)
def test_a_range_for_pods_has_room_for_every_machine_of_the_inventory(pods: str, level: str | None) -> None:
    networking = ClusterSpec().networking.model_copy(update={"pod_subnet": pods})
    spec = ClusterSpec().model_copy(update={"networking": networking})
    roles = ("control_plane", "worker", "worker")
    machines = (Machine(f"m-{n}", frozenset({role})) for n, role in enumerate(roles))
    inventory = Inventory("x", tuple(machines))
    made = shop(spec, inventory)
    found = made.examine(made.found(reached(inventory.machines[0])), None)
    levels = [finding.level for finding in found if finding.name == "CIDRCapacity"]
    assert levels == ([level] if level else [])
