"""Joining and leaving etcd, against members in memory: never an unreachable voter, and reruns converge."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot import errors, render
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.fleet.remove import who
from kubeboot.kube.api import NoApi
from kubeboot.kube.etcd import Member
from kubeboot.steps.etcd import join as etcd_join
from kubeboot.steps.etcd import learner as etcd_learner
from kubeboot.steps.leaving import LeaveEtcd
from tests.fakes.api import FakeApi
from tests.fakes.entries import Dir
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost
from tests.fakes.world import said_ready

NODE = NodeSettings("cp-2", "192.0.2.12", "control_plane")
CATALOG = Catalog("v1.37.1", "amd64", (), (Image("etcd", "registry.k8s.io/etcd:1", "sha256:0"),))
STEPS = {step.id: step for step in etcd_join.steps(ClusterSpec(), NODE, CATALOG)}
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
PEER = "https://192.0.2.12:2380"


def on(etcd: FakeEtcd, host: FakeHost | None = None) -> Target:
    return Target(host or FakeHost("cp-2"), NoApi(), etcd)


def step(name: str) -> Step:
    found = STEPS[name]
    return dataclasses.replace(found, pause=_waited) if isinstance(found, etcd_learner.AddLearner) else found


def _waited(seconds: float) -> None:
    raise TimeoutError("it waits")


def data(host: FakeHost) -> FakeHost:
    host.dirs["/var/lib/etcd/member"] = Dir()
    return host


def members(etcd: FakeEtcd) -> Values:
    vals = Values()
    vals.put(etcd_learner.MEMBERS, etcd.members())
    return vals


def command(host: FakeHost) -> dict[str, str]:
    words = render.load(host.files[MANIFEST].data)["spec"]["containers"][0]["command"]
    return dict(word.removeprefix("--").partition("=")[::2] for word in words)


def test_the_order_keeps_voters_reachable() -> None:
    after = {name: found.after for name, found in STEPS.items()}
    assert "pki/" in after["etcd/turn"] and "etcd/turn" in after["etcd/learner"]
    assert "etcd/learner" in after["etcd/manifest"]
    assert {"etcd/manifest", "kubelet/service"} <= after["etcd/started"]
    assert "etcd/started" in after["etcd/promoted"]
    assert "etcd/promoted" in after["etcd/serves"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_new_machine_becomes_a_learner_once_though_the_answer_is_lost(lost: bool) -> None:
    etcd = FakeEtcd(member(1))
    etcd.lost = lost
    adds = step("etcd/learner")
    assert isinstance(adds.check(on(etcd).see, Values()), Drift)
    adds.apply(on(etcd), Values())
    adds.apply(on(etcd), Values())
    assert etcd.changes == [f"add {PEER}"]
    assert adds.check(on(etcd).see, Values()) == Ok()


def test_one_learner_at_a_time_and_the_lock_is_free_while_waiting() -> None:
    etcd = FakeEtcd(member(1), member(3, learner=True))
    assert "cp-3 is joining" in str(step("etcd/turn").check(on(etcd).see, Values()))
    with pytest.raises(TimeoutError):
        step("etcd/learner").apply(on(etcd), Values())
    assert (etcd.changes, etcd.held) == ([], 0)


def test_a_wiped_machine_replaces_its_own_member() -> None:
    etcd = FakeEtcd(member(1), member(2), member(3))
    etcd.down = {"cp-2"}
    adds = step("etcd/learner")
    assert isinstance(adds.check(on(etcd).see, Values()), Drift)
    adds.apply(on(etcd), Values())
    assert etcd.changes == ["remove cp-2", f"add {PEER}"]


def test_it_is_not_replaced_where_the_others_would_lose_their_quorum() -> None:
    etcd = FakeEtcd(member(1), member(2), member(3))
    etcd.down = {"cp-2", "cp-3"}
    with pytest.raises(errors.KubebootError) as raised:
        step("etcd/learner").apply(on(etcd), Values())
    assert (raised.value.reason, etcd.changes) == ("KB_ETCD_QUORUM", [])


def moved(number: int, host: str) -> Member:
    """cp-NUMBER, elsewhere."""
    found = member(number)
    return dataclasses.replace(
        found, peer_urls=(f"https://{host}:2380",), client_urls=(f"https://{host}:2379",)
    )


def test_a_wiped_machine_with_a_new_address_replaces_its_member_too() -> None:
    etcd = FakeEtcd(member(1), moved(2, "192.0.2.99"), member(3))
    etcd.down = {"cp-2"}
    adds = step("etcd/learner")
    found = adds.check(on(etcd).see, Values())
    assert isinstance(found, Drift) and "192.0.2.99" in found.summary
    adds.apply(on(etcd), Values())
    assert etcd.changes == ["remove cp-2", f"add {PEER}"]


def test_another_machine_of_the_same_name_is_left_alone() -> None:
    etcd = FakeEtcd(member(1), moved(2, "192.0.2.99"))
    found = step("etcd/learner").check(on(etcd).see, Values())
    assert isinstance(found, Blocked) and found.reason == "KB_NODE_NAME_TAKEN"


@pytest.mark.parametrize("learner", [False, True])
def test_two_machines_of_one_name_that_join_at_once_do_not_replace_each_other(learner: bool) -> None:
    etcd, adds = FakeEtcd(member(1)), step("etcd/learner")
    assert isinstance(adds.check(on(etcd).see, Values()), Drift)
    etcd.found.append(dataclasses.replace(moved(2, "192.0.2.99"), learner=learner))  # it has come meanwhile
    with pytest.raises(errors.KubebootError) as raised:
        adds.apply(on(etcd), Values())
    assert (raised.value.reason, etcd.changes, etcd.held) == ("KB_NODE_NAME_TAKEN", [], 0)


def test_who_keeps_etcd_from_taking_anybody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeboot.kube.etcd.insist.__defaults__", (0.0, lambda seconds: None))
    etcd = FakeEtcd(member(1), member(3), member(4))
    etcd.down = {"cp-3"}
    with pytest.raises(errors.KubebootError, match="while cp-3 does not answer") as raised:
        step("etcd/learner").apply(on(etcd), Values())
    assert (raised.value.reason, etcd.changes, etcd.held) == ("KB_ETCD_UNHEALTHY", [], 0)


def test_a_learner_in_the_way_is_named_by_what_node_remove_takes() -> None:
    turn = etcd_learner.LearnerFree(NODE.address)
    for started, whom in ((True, "cp-3"), (False, "192.0.2.13")):
        etcd = FakeEtcd(member(1), member(3, learner=True, started=started))
        assert f"node remove {whom}`" in turn.explain(on(etcd).see)
        leave(*who(whom, FakeApi(), etcd.members()).addresses, name=whom).apply(on(etcd), Values())
        assert etcd.found == [member(1)]


def test_data_of_a_removed_member_is_not_started() -> None:
    found = step("etcd/learner").check(on(FakeEtcd(member(1)), data(FakeHost("cp-2"))).see, Values())
    assert isinstance(found, Blocked) and found.reason == "KB_ETCD_REMOVED"


def test_the_manifest_names_the_real_members_until_etcd_has_data() -> None:
    etcd, host = FakeEtcd(member(1), member(2, learner=True, started=False)), FakeHost("cp-2")
    manifest = step("etcd/manifest")
    assert isinstance(manifest.check(on(etcd, host).see, Values()), Later)
    manifest.apply(on(etcd, host), members(etcd))
    said = command(host)
    assert said["initial-cluster"] == f"cp-1=https://192.0.2.11:2380,cp-2={PEER}"
    assert said["initial-cluster-state"] == "existing"
    more = FakeEtcd(member(1), member(2), member(3))
    assert isinstance(manifest.check(on(more, host).see, members(more)), Drift)
    assert manifest.check(on(more, data(host)).see, members(more)) == Ok()


@pytest.mark.parametrize("lost", [False, True])
def test_a_learner_is_promoted_when_it_is_in_sync(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeboot.kube.etcd.insist.__defaults__", (60.0, lambda seconds: None))
    etcd = FakeEtcd(member(1), member(2, learner=True))
    etcd.unsynced, etcd.lost = 3, lost
    promote = step("etcd/promoted")
    assert isinstance(promote.check(on(etcd).see, Values()), Drift)
    promote.apply(on(etcd), Values())
    promote.apply(on(etcd), Values())
    assert etcd.changes == ["promote cp-2"]
    assert promote.check(on(etcd).see, Values()) == Ok()


def reads(status: int) -> FakeHost:
    """Its etcd's metrics port says so."""
    host = FakeHost("cp-2")
    host.dialers["127.0.0.1", 2381] = lambda: said_ready(status)
    return host


@pytest.mark.parametrize(
    ("learner", "host", "last"),
    [
        (member(2, learner=True, started=False), reads(200), "has not been started"),
        (member(2, learner=True), FakeHost("cp-2"), "refused"),
        (member(2, learner=True), reads(503), "answers 503"),
        (member(2, learner=True), reads(200), None),
        (member(3), reads(200), "does not have this machine"),
    ],
)
def test_a_learner_takes_part_before_it_may_vote(learner: Member, host: FakeHost, last: str | None) -> None:
    """One that was in sync and has died since is in sync to etcd: it must not become a voter."""
    settled = step("etcd/started").settle
    assert settled is not None
    seen = settled.look(on(FakeEtcd(member(1), learner), host).see, Values())
    assert seen is None if last is None else last in str(seen)


def test_the_member_serves_when_its_clients_are_answered() -> None:
    etcd, settled = FakeEtcd(member(1), member(2)), step("etcd/serves").settle
    etcd.down = {"cp-2"}
    assert settled is not None and settled.look(on(etcd).see, Values()) == "connection refused"
    etcd.down = set()
    assert settled.look(on(etcd).see, Values()) is None


def leave(*addresses: str, name: str = "") -> LeaveEtcd:
    return LeaveEtcd(id="leave/etcd", title="", on="@cluster", addresses=addresses, member=name)


@pytest.mark.parametrize(
    ("count", "down", "goes"),
    [(3, (), True), (3, (2,), True), (3, (1,), False), (3, (1, 3), False), (2, (), True), (5, (1,), True)],
)
def test_leaving_never_breaks_the_quorum(count: int, down: tuple[int, ...], goes: bool) -> None:
    etcd = FakeEtcd(*(member(n) for n in range(1, count + 1)))
    etcd.down = {f"cp-{n}" for n in down}
    found = leave("192.0.2.12").check(on(etcd).see, Values())
    assert isinstance(found, Drift if goes else Blocked), found
    if goes:
        leave("192.0.2.12").apply(on(etcd), Values())
        assert etcd.changes == ["remove cp-2"]
    else:
        with pytest.raises(errors.KubebootError, match="must not leave"):
            leave("192.0.2.12").apply(on(etcd), Values())


def test_the_last_member_stays_and_who_is_none_has_left() -> None:
    assert leave("192.0.2.11").check(on(FakeEtcd(member(1))).see, Values()) == Ok()
    assert leave("192.0.2.99").check(on(FakeEtcd(member(1), member(2))).see, Values()) == Ok()


def test_a_dead_machines_member_is_found_by_its_name() -> None:
    etcd = FakeEtcd(member(1), member(2), member(3))
    etcd.down = {"cp-3"}
    leave(name="cp-3").apply(on(etcd), Values())
    assert etcd.changes == ["remove cp-3"]


def test_an_etcd_that_does_not_answer_is_not_left_behind_silently() -> None:
    found = leave("192.0.2.12").check(Target(FakeHost("cp-2"), NoApi()).see, Values())
    assert isinstance(found, Blocked) and "--force" in str(found.hint)
