"""Hooks without Ansible: where they stand in a plan, their marks, and what Ansible's events become."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.events import Event, StepFinished, StepStarted
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Drift, Ok, Target, View
from kubeboot.engine.values import Values
from kubeboot.fleet import down as fleet_down
from kubeboot.fleet import hooks
from kubeboot.fleet.orders_fleet import FleetOptions, FleetResult
from kubeboot.fleet.playbooks import Part, Teller, Way
from kubeboot.fleet.reach import Reached
from kubeboot.host.facts import Facts
from kubeboot.inventory import for_ansible
from kubeboot.inventory.model import Access, Inventory, Machine
from kubeboot.kube.api import NoApi
from kubeboot.steps import basic
from kubeboot.steps.hooks import CONFIG_MAP, ClusterHook, MachineHook, mark
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

MACHINE = Machine("cp-1", frozenset({"control_plane"}), address="10.0.0.1")
ALL = Inventory("hosts.ini", (MACHINE, Machine("w-1", frozenset({"worker"}))))
WHO = Reached(MACHINE, FakeHost("cp-1"), Facts("cp-1"))  # type: ignore[arg-type]
PLACES = ("before_host", "before_init", "after_init", "after_host")


def found(tmp_path: Path, *places: str) -> hooks.Hooks:
    for place in places:
        (tmp_path / f"{place}.yml").write_text(f"# {place}\n")
    said = {place: str(tmp_path / f"{place}.yml") for place in places}
    spec = ClusterSpec.model_validate({"hooks": said}, by_alias=True, by_name=False)
    return hooks.find(spec, ALL, lambda event: None)


def plan() -> Plan:
    directory = basic.EnsureDir(id="a/dir", title="d", on="cp-1", path="/opt/x")
    once = basic.EnsureDir(id="b/once", title="o", on=CLUSTER, path="/opt/y")
    return Plan("join", "x", (directory, once), {"cp-1": "control_plane"})


def test_hooks_are_before_and_after_everything_else_one_by_one(tmp_path: Path) -> None:
    made = found(tmp_path, *PLACES).around(plan(), WHO, "cp-1", PLACES[:2], PLACES[2:])
    order = [step for _, step in plans.ordered(plans.edges(made))]
    assert order[:2] == ["hook/before_host", "hook/before_init"]
    assert order[-2:] == ["hook/after_init", "hook/after_host"]
    assert [s.on for s in made.steps if s.id.startswith("hook/")] == ["cp-1", "cp-1", CLUSTER, "cp-1"]


def test_what_is_skipped_takes_no_order_with_it(tmp_path: Path) -> None:
    made = found(tmp_path, "before_host").around(plan(), WHO, "cp-1", ("before_host",))
    assert len(plans.ordered(plans.edges(made.without({"hook"})))) == 2


def test_nothing_to_do_means_no_hook(tmp_path: Path) -> None:
    empty = Plan("reset", "x", (), {"cp-1": "worker"})
    assert found(tmp_path, "before_host").around(empty, WHO, "cp-1", ("before_host",)) == empty


def step(digest: str, ran: list[str]) -> MachineHook:
    def play() -> None:
        ran.append(digest)

    return MachineHook(
        id="hook/x", title="x", on="h", playbook="b.yml", place="before_host", digest=digest, play=play
    )


def test_a_hook_runs_once_for_each_version_of_its_playbook() -> None:
    host, ran = FakeHost("h"), []
    assert converges(step("one", ran), host) == Drift("run b.yml (before_host)")
    do = Target(host, NoApi())
    step("one", ran).apply(do, Values())
    assert step("one", ran).check(View(host, NoApi()), Values()) == Ok()
    again = step("two", ran).check(View(host, NoApi()), Values())
    assert isinstance(again, Drift) and again.change == "change"


def test_a_playbook_that_fails_leaves_no_mark() -> None:
    def play() -> None:
        raise errors.KubebootError("it broke")

    host = FakeHost("h")
    broken = MachineHook(
        id="hook/x", title="x", on="h", playbook="b.yml", place="before_host", digest="1", play=play
    )
    with pytest.raises(errors.KubebootError, match="it broke"):
        broken.apply(Target(host, NoApi()), Values())
    assert isinstance(broken.check(View(host, NoApi()), Values()), Drift)


def test_a_clusters_hook_is_marked_in_the_cluster() -> None:
    ran: list[str] = []
    api, host = FakeApi(), FakeHost("h")
    hook = ClusterHook(
        id="hook/after_init", title="x", on=CLUSTER, playbook="b.yml", place="after_init",
        obj=mark("after_init", "1"), play=lambda: ran.append("x"),
    )  # fmt: skip
    assert isinstance(hook.check(View(host, api), Values()), Drift)
    hook.apply(Target(host, api), Values())
    assert hook.check(View(host, api), Values()) == Ok() and ran == ["x"]
    kept = api.get("v1", "ConfigMap", CONFIG_MAP, "kube-system")
    assert kept is not None and kept["data"] == {"after_init": "1"}


def test_without_ansible_core_hooks_are_refused_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.ConfigInvalid) as raised:
        found(tmp_path, "before_host")
    assert raised.value.reason == "KB_ANSIBLE" and "kubeboot[ansible]" in str(raised.value.hint)
    assert found(tmp_path).books == {}


def test_a_playbook_that_is_not_there_is_refused() -> None:
    spec = ClusterSpec.model_validate({"hooks": {"before_host": "nowhere.yml"}})
    with pytest.raises(errors.ConfigInvalid, match=r"hooks\.before_host: no such playbook: nowhere\.yml"):
        hooks.find(spec, ALL, lambda event: None)


def test_down_wants_only_the_playbook_that_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(machine: Machine) -> Any:
        host = FakeHost(machine.name)
        monkeypatch.setattr(host, "facts", lambda: (_ for _ in ()).throw(errors.Unreachable("no answer")))
        return host

    def down(place: str) -> FleetResult:
        spec = ClusterSpec.model_validate({"hooks": {place: "nowhere.yml"}}, by_alias=True)
        return fleet_down.down(FleetOptions(spec, ALL), lambda event: None, nobody)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(errors.ConfigInvalid, match="before_reset"):
        down("before_reset")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [host.state for host in down("before_host").hosts] == ["unreachable", "unreachable"]


def told(*events: dict[str, Any]) -> tuple[list[Event], Teller]:
    seen: list[Event] = []
    teller = Teller(Part(ALL, WHO, Path("/x/harden.yml"), "cp-1", "hook/before_host"), seen.append)
    for event in events:
        teller.take(event)
    return seen, teller


def result(kind: str, **more: Any) -> dict[str, Any]:
    return {"event": f"runner_on_{kind}", "event_data": {"task": "Turn it on", "duration": 1.5, **more}}


def test_a_task_is_a_step_that_starts_and_ends() -> None:
    started = {"event": "playbook_on_task_start", "event_data": {"task": "Turn it on"}}
    seen, _ = told(started, result("ok", res={"changed": True, "msg": "on now"}))
    title = "harden.yml: Turn it on"
    assert seen == [
        StepStarted("hook/before_host", "cp-1", title),
        StepFinished("hook/before_host/Turn it on", "cp-1", title, "changed", 1.5, 0.0, "on now"),
    ]


@pytest.mark.parametrize(
    ("kind", "more", "state"),
    [
        ("ok", {"res": {"changed": False}}, "ok"),
        ("skipped", {}, "skipped"),
        ("failed", {"res": {"msg": "no"}}, "failed"),
        ("failed", {"res": {"msg": "no"}, "ignore_errors": True}, "ok"),
        ("unreachable", {"res": {"msg": "no route"}}, "failed"),
    ],
)
def test_how_a_task_ended(kind: str, more: dict[str, Any], state: str) -> None:
    (seen,), _ = told(result(kind, **more))
    assert isinstance(seen, StepFinished) and seen.state == state


def test_the_error_is_the_failed_tasks() -> None:
    _, teller = told(result("failed", res={"msg": "", "stderr": "first\nlast\n"}))
    error = teller.failure("failed")
    assert error.message == "harden.yml: task `Turn it on`: last" and error.reason == "KB_HOOK"
    assert error.host == "cp-1"


def test_a_playbook_that_cannot_be_read_fails_with_ansibles_last_words() -> None:
    _, teller = told({"event": "verbose", "stdout": "ERROR! the playbook is empty\n"})
    assert "the playbook is empty" in teller.failure("failed").message
    assert "took too long" in told()[1].failure("timeout").message


def test_machines_of_a_cluster_file_as_ansible_sees_them(tmp_path: Path) -> None:
    machines = (*ALL.machines, Machine("here", frozenset({"worker"}), Access(local=True)))
    given = Inventory("cluster.yaml", machines, {"worker": ("w-1", "here")})
    gone = Machine("old", frozenset({"lb"}))
    path = for_ansible.write(given, tmp_path, lambda machine: f"Host {machine.name}\n", [gone])
    data = json.loads(path.read_text())["all"]
    assert data["hosts"]["here"] == {"ansible_connection": "local"}
    assert data["hosts"]["cp-1"] == {
        "ansible_host": "cp-1", "ip": "10.0.0.1", "ansible_ssh_common_args": f"-F {tmp_path}/cp-1.ssh"
    }  # fmt: skip
    assert (tmp_path / "w-1.ssh").read_text() == "Host w-1\n"
    groups = {name: list(group["hosts"]) for name, group in data["children"].items()}
    assert groups == {"worker": ["w-1", "here"], "kube_control_plane": ["cp-1"], "kube_node": ["w-1", "here"],
                      "lb": ["old"]}  # fmt: skip


def test_passwords_are_answers_and_nothing_else() -> None:
    way = Way(root=False, sudo_password="hunter2", passphrase="hunter3")
    assert way.arguments == "--become --ask-become-pass" and "hunter" not in repr(way)
    assert sorted(way.answers.values()) == ["hunter2", "hunter3"]
    assert (Way().arguments, Way().answers) == ("", {})
