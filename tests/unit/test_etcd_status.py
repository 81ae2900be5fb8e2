"""etcd's state: what each member says, what that means, how it is shown, and when repairs are refused."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.cli import actions_etcd
from kubeboot.engine.events import Notice
from kubeboot.fleet import orders_etcd, voters
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.etcd import recover as etcd_recover
from kubeboot.fleet.etcd import restore as etcd_restore
from kubeboot.fleet.etcd import status as etcd_status
from kubeboot.kube import etcd_db
from kubeboot.kube.api import ApiUnavailable
from kubeboot.kube.etcd import EtcdUnavailable, Member
from kubeboot.steps.etcd import local as etcd_local
from kubeboot.steps.etcd.local import Local, Note
from tests.fakes import tls
from tests.fakes.entries import Dir, File
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost
from tests.unit.cli_support import run

SAID = {
    "version": "3.7.3", "dbSize": "5242880", "dbSizeInUse": "1048576", "leader": "1", "raftIndex": "405",
    "raftTerm": "2", "raftAppliedIndex": "404",
}  # fmt: skip
"""As the gateway of etcd 3.7.3 writes it: 64-bit numbers are strings."""


class Told:
    """Members with what each of them answers."""

    def __init__(self, *members: Member, **answers: Mapping[str, Any] | None) -> None:
        self._members = members
        self._answers = {f"https://192.0.2.1{name[1:]}:2379": said for name, said in answers.items()}

    def known(self) -> tuple[Member, ...]:
        return self._members

    def status(self, server: str) -> Mapping[str, Any]:
        said = self._answers.get(server)
        if said is None:
            raise ApiUnavailable(f"{server} does not answer: connection refused")
        return said


THREE = (member(1), member(2), member(3))
NO_LEADER = {**SAID, "leader": "0", "errors": ["etcdserver: no leader"]}


def test_every_member_is_asked_for_itself() -> None:
    found = etcd_status.look(Told(*THREE, m1=SAID, m2=SAID, m3=SAID))
    first = found.members[0]
    assert (first.leader, first.db_size, first.db_in_use, first.raft_index) == (True, 5242880, 1048576, 405)
    assert (found.leader, found.voters, found.bears, found.healthy) == ("cp-1", 3, 1, True)


@pytest.mark.parametrize(
    ("members", "answers", "bears"),
    [
        (THREE, {"m1": SAID, "m2": SAID}, 0),
        (THREE, {"m1": NO_LEADER}, -2),
        (THREE[:2], {"m1": SAID, "m2": SAID}, 0),
        (THREE[:1], {"m1": SAID}, 0),
        ((*THREE[:1], member(2, learner=True)), {"m1": SAID}, 0),
        ((*THREE, member(4), member(5)), {"m1": SAID, "m2": SAID, "m3": SAID, "m4": SAID}, 1),
    ],
)
def test_how_many_it_could_still_lose(
    members: tuple[Member, ...], answers: dict[str, Mapping[str, Any]], bears: int
) -> None:
    assert etcd_status.look(Told(*members, **answers)).bears == bears


def test_an_alarm_is_not_health_and_no_leader_is_no_alarm() -> None:
    alarmed = {**SAID, "errors": ["memberID:1 alarm:NOSPACE "]}
    found = etcd_status.look(Told(*THREE, m1=alarmed, m2=SAID, m3=NO_LEADER))
    assert [bool(one.alarms) for one in found.members] == [True, False, False]
    assert found.members[2].problem == "it has no leader"
    assert not found.healthy


@pytest.mark.parametrize(
    ("answers", "code", "shows"),
    [
        ({"m1": SAID, "m2": SAID, "m3": SAID}, 0, "survives the loss of 1 more member (2 of 3"),
        ({"m1": SAID, "m2": SAID}, 1, "cp-3: https://192.0.2.13:2379 does not answer"),
        ({"m1": NO_LEADER}, 1, "kubeboot etcd recover"),
    ],
)
def test_the_exit_code_is_for_monitoring(
    answers: dict[str, Mapping[str, Any]], code: int, shows: str
) -> None:
    found = etcd_status.look(Told(*THREE, **answers))
    with mock.patch.object(actions_etcd, "status", lambda: found):
        shown, data = run("etcd", "status"), run("etcd", "status", "-o", "json")
    assert (shown.code, data.code) == (code, code)
    assert shows in shown.out
    said = json.loads(data.out)
    assert said["hasQuorum"] is (found.bears >= 0) and said["survivesLossOf"] == max(found.bears, 0)
    assert len(said["members"]) == 3


def test_no_member_at_all_has_its_own_exit_code() -> None:
    with mock.patch.object(actions_etcd, "status", mock.Mock(side_effect=EtcdUnavailable("none"))):
        assert run("etcd", "status").code == 5


@pytest.mark.parametrize("command", [("recover",), ("snapshot", "restore", "f.db")])
def test_nothing_is_repaired_without_somebody_who_agrees(command: tuple[str, ...]) -> None:
    done = orders_etcd.EtcdRepairResult(5, 1, 2.0, "/var/lib/etcd/before-x", ("cp-2",))
    name = "recover" if command == ("recover",) else "restore"
    with mock.patch.object(actions_etcd, name, mock.Mock(return_value=done)) as action:
        refused = run("etcd", *command)
        no = run("etcd", *command, stdin="no\n", tty=True)
        assert (refused.code, no.code) == (2, 0) and "no terminal to ask on" in refused.err
        assert "is lost" in no.err or "are lost" in no.err
        assert all(call.args[0].dry_run for call in action.call_args_list)
        yes = run("etcd", *command, "--yes")
        assert not action.call_args.args[0].dry_run
        data = run("etcd", *command, "--yes", "-o", "json")
    assert "/var/lib/etcd/before-x" in yes.err and "--certificate-key-file" in yes.err
    assert json.loads(data.out.splitlines()[-1])["others"] == ["cp-2"]


def test_a_machine_of_etcds_own_says_how_its_like_join_again() -> None:
    done = orders_etcd.EtcdRepairResult(5, 1, 2.0, "", ("etcd-2",), control_plane=False)
    with mock.patch.object(actions_etcd, "restore", lambda options, emit: done):
        said = run("etcd", "snapshot", "restore", "f.db", "--yes").err
    assert "etcd export --for members" in said and "token create" not in said


def test_a_snapshot_is_told(tmp_path: Path) -> None:
    made = orders_etcd.EtcdSnapshot("/b/e.db", "ab" * 32, 402, 155648, ("cp-1",), "https://192.0.2.11:2379")
    with mock.patch.object(actions_etcd, "snapshot_save", lambda options, emit: made):
        assert "revision  402" in run("etcd", "snapshot", "save", "/b/e.db").out
    with mock.patch.object(actions_etcd, "snapshot_status", lambda path: made):
        said = json.loads(run("etcd", "snapshot", "status", "/b/e.db", "-o", "json").out)
    assert (said["revision"], said["members"], said["sha256"]) == (402, ["cp-1"], "ab" * 32)


MINE = Local(
    "cp-1", "registry.k8s.io/etcd:1", "/var/lib/etcd", "https://192.0.2.11:2379", "https://192.0.2.11:2380"
)
OTHERS = {"192.0.2.12": "cp-2", "192.0.2.13": "cp-3"}


@dataclasses.dataclass
class Silent:
    """A member that answers with a leader, without one, or (None) not at all."""

    leader: str | None

    def status(self, server: str) -> Mapping[str, Any]:
        if self.leader is None:
            raise ApiUnavailable("connection refused")
        return {"leader": self.leader}


def machine(*listening: str) -> FakeHost:
    host = FakeHost("cp-1")
    host.dirs["/var/lib/etcd/member"] = Dir()
    for address in listening:
        host.dialers[address, 2380] = mock.Mock()
    return host


@pytest.mark.parametrize(
    ("host", "leader", "others", "reason"),
    [
        (FakeHost("cp-1"), None, OTHERS, "KB_NO_ETCD"),
        (machine(), "7", OTHERS, "KB_ETCD_HAS_QUORUM"),
        (machine("192.0.2.12"), None, OTHERS, "KB_ETCD_ANSWERS"),
        (machine("192.0.2.13"), "0", OTHERS, "KB_ETCD_ANSWERS"),
        (machine(), None, {}, "KB_ETCD_ALONE"),
    ],
)
def test_what_is_not_to_be_recovered(
    host: FakeHost, leader: str | None, others: dict[str, str], reason: str
) -> None:
    with pytest.raises(errors.KubebootError) as raised:
        etcd_recover._refuse(host, MINE, Silent(leader), others)  # type: ignore[arg-type]
    assert raised.value.reason == reason


@pytest.mark.parametrize("leader", ["0", None])
def test_what_is_lost_is_recovered(leader: str | None) -> None:
    etcd_recover._refuse(machine(), MINE, Silent(leader), OTHERS)  # type: ignore[arg-type]


def test_a_restore_is_of_this_clusters_data() -> None:
    """As API servers write them: an object's key, and the object as protobuf with its texts as they are."""
    theirs, ours = (tls.authority(name).certificate for name in ("theirs", "kubernetes"))
    head = b"\n/registry/configmaps/kube-public/cluster-info\x10k8s\0clusters:\n- cluster:\n    "
    values = [
        b"/registry/pods/a",
        head + b"certificate-authority-data: " + base64.b64encode(theirs) + b"\n  x",
    ]
    found = etcd_db.cluster_authority(values)
    for whose in (theirs, None):
        etcd_restore.require_own(whose, found)
    etcd_restore.require_own(ours, etcd_db.cluster_authority(values[:1]))
    with pytest.raises(errors.KubebootError) as raised:
        etcd_restore.require_own(ours, found)
    assert raised.value.reason == "KB_OTHER_CLUSTER"


def test_a_restore_is_refused_where_others_would_go_on() -> None:
    etcd_restore._refuse(machine(), OTHERS)
    with pytest.raises(errors.Occupied) as raised:
        etcd_restore._refuse(machine("192.0.2.12"), OTHERS)
    assert raised.value.reason == "KB_ETCD_ANSWERS" and "cp-2" in raised.value.message


def test_the_others_are_known_by_etcd_or_by_haproxy() -> None:
    host = machine()
    host.files["/etc/kubernetes/haproxy/haproxy.cfg"] = File(
        b"".join(b"    server x 192.0.2.1%d:6443 check\n" % last for last in (1, 2, 4))
    )
    assert etcd_here.others(host, MINE, THREE) == {**OTHERS, "192.0.2.14": "192.0.2.14"}


def test_where_no_etcd_is_it_is_said_so() -> None:
    host = FakeHost("worker-1")
    with pytest.raises(errors.PreflightFailed, match="does not run on worker-1"):
        etcd_here.local(host)
    command = (
        '{"spec": {"containers": [{"command": ["kube-apiserver", "--etcd-servers=https://10.9.9.9:2379"]}]}}'
    )
    host.files["/etc/kubernetes/manifests/kube-apiserver.yaml"] = File(command.encode())
    with pytest.raises(errors.PreflightFailed, match="runs elsewhere"):
        etcd_here.local(host)
    host.known_facts = dataclasses.replace(host.known_facts, uid=7)
    with pytest.raises(errors.PreflightFailed, match="only root"):
        etcd_here.local(host)


def test_an_unfinished_repair_is_finished_before_another() -> None:
    host = machine()
    assert etcd_here.begun(host, "recover", "") is None
    host.write(etcd_local.NOTE, Note("restore", "/b/e.db", "/k", True).encode())
    assert etcd_here.begun(host, "restore", "/b/e.db") == Note("restore", "/b/e.db", "/k", True)
    for verb, source in (("recover", ""), ("restore", "/b/other.db")):
        with pytest.raises(errors.Occupied, match=r"snapshot restore /b/e\.db"):
            etcd_here.begun(host, verb, source)


@pytest.mark.parametrize(("count", "warns"), [(1, False), (2, True), (3, False), (4, True)])
def test_an_even_number_of_voters_is_warned_of(count: int, warns: bool) -> None:
    said: list[object] = []
    found = FakeEtcd(*(member(n) for n in range(1, count + 1)), member(9, learner=True))
    assert voters.tell(found, said.append, ": join one more") == count
    bears = (count - 1) // 2
    text = f"etcd has {count} members and can lose {bears}: join one more"
    assert said == ([Notice("warning", text)] if warns else [])
