"""Restoring and recovering etcd: killed at every change of every step, a rerun ends as a clean run does."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from kubeboot import errors, render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import inspect, journal
from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.places import UNWATCHED, Leave, Watch, Watched
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, Blocked, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.model import Container, Process
from kubeboot.kube import configmaps
from kubeboot.kube.api import NoApi
from kubeboot.kube.etcd import EtcdUnavailable, Member
from kubeboot.plan import etcd_repair as planning
from kubeboot.steps import etcd
from kubeboot.steps.etcd import local as etcd_local
from kubeboot.steps.etcd import repair as etcd_repair
from kubeboot.steps.etcd.local import FORCED, NOTE, PODS, WORK, Local, Note
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.entries import Dir, File
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

SPEC = ClusterSpec(control_plane_endpoint="192.0.2.12:8443")
POD = etcd.pod(SPEC, NodeSettings("cp-1", "192.0.2.11", "control_plane"), "registry.k8s.io/etcd:1")
DATA = "/var/lib/etcd"
DB = f"{DATA}/member/snap/db"
OLD, SNAPSHOT = b"the old data", b"a snapshot"
RECOVER = Note("recover", "", f"{DATA}/before-recover", True)
RESTORE = Note("restore", "/backup/etcd.db", f"{DATA}/before-restore", True)


class Repaired(FakeEtcd):
    """etcd as its manifest and its data on the machine make it; of three members two are gone."""

    def __init__(self, host: FakeHost, *members: Member, quorum: bool = False) -> None:
        super().__init__(*members)
        self._host = host
        self._quorum = quorum

    def members(self) -> tuple[Member, ...]:
        manifest, data = self._host.read(POD.path), self._host.read(DB)
        if manifest is None or data is None:
            raise EtcdUnavailable("connection refused")
        if FORCED.encode() in manifest or data != OLD:
            self.found = [one for one in self.found if one.name == "cp-1"]
        if len(self.found) > 1 and not self._quorum:
            raise EtcdUnavailable("no leader")
        return super().members()


class Machine(FakeHost):
    """A control plane whose kubelet ends pods without a manifest."""

    def __init__(self, pods: tuple[str, ...] = PODS) -> None:
        super().__init__("cp-1")
        self.files |= {
            etcd_local.path(name): File(b"apiVersion: v1\nmetadata: {annotations: {}}\n", 0o600)
            for name in pods
        }
        self.files[POD.path] = File(POD.render("").encode(), 0o600)
        self.files |= {DB: File(OLD, 0o600), "/backup/etcd.db": File(SNAPSHOT, 0o600)}
        folders = (
            "/etc/kubernetes",
            "/etc/kubernetes/manifests",
            "/backup",
            DATA,
            f"{DATA}/member",
            f"{DATA}/member/snap",
        )
        self.dirs |= {path: Dir() for path in folders}

    def containers(self) -> tuple[Container, ...]:
        names = [name for name in PODS if etcd_local.path(name) in self.files]
        return tuple(Container(name, "", name, f"{name}-cp-1", pid=7) for name in names)


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@dataclasses.dataclass
class Scene:
    """A machine with its etcd and its API."""

    plan: Plan
    quorum: bool = False
    pods: tuple[str, ...] = PODS

    def __post_init__(self) -> None:
        self.host = Machine(self.pods)
        self.etcd = Repaired(self.host, member(1), member(2), member(3), quorum=self.quorum)
        where = SPEC.control_plane_endpoint or ""
        authority = tls.authority().certificate
        self.api = FakeApi(
            configmaps.kubeadm_config(SPEC, where),
            configmaps.kubeboot_config(SPEC, where),
            configmaps.cluster_info(authority, where),
        )

    def run(self, watch: Watch = UNWATCHED) -> None:
        book = journal.Journal(self.host)
        book.begin("test")
        site = Site(Target(self.host, self.api, self.etcd), book)
        outcome = run(self.plan, {"cp-1": site, CLUSTER: site}, quiet, timeout_scale=0.001, watch=watch)
        outcome.raise_for_failure()

    def essence(self) -> dict[str, object]:
        return {**self.host.snapshot(), "members": [one.name for one in self.etcd.members()]}


def quiet(event: Event) -> None:
    """Nobody listens."""


def mine(pods: tuple[str, ...] = PODS) -> Local:
    found = etcd_local.find(Machine(pods))
    assert found is not None
    return found


def plan(verb: str, pods: tuple[str, ...] = PODS, *, led: bool = True) -> Plan:
    if verb == "restore":
        return planning.restore("cp-1", mine(pods), RESTORE, "token", led=led)
    gone = ("192.0.2.12", "192.0.2.13")
    return planning.recover("cp-1", mine(pods), RECOVER, gone, tls.authority().certificate)


def places(verb: str) -> list[tuple[str, str]]:
    """Every place that a clean run passes."""
    found: list[tuple[str, str]] = []

    def note(step: str, operation: str, leave: Leave) -> None:
        found.append((step, operation))

    Scene(plan(verb), quorum=verb == "restore").run(Watched(note))
    return found


@pytest.fixture(scope="module", params=["restore", "recover"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_manifest_says_who_this_machine_is_to_etcd() -> None:
    found = mine()
    assert (found.name, found.address, found.data_dir) == ("cp-1", "192.0.2.11", DATA)
    assert (found.image, found.database) == ("registry.k8s.io/etcd:1", DB)
    assert etcd_local.find(FakeHost("worker-1")) is None


def test_a_clean_run_leaves_what_ran_before_and_the_old_data(verb: str) -> None:
    scene = Scene(plan(verb), quorum=verb == "restore")
    before = {path: file for path, file in scene.host.files.items() if "/manifests/" in path}
    scene.run()
    assert {path: file for path, file in scene.host.files.items() if "/manifests/" in path} == before
    assert [one.name for one in scene.etcd.members()] == ["cp-1"]
    kept = RESTORE.kept if verb == "restore" else RECOVER.kept
    assert scene.host.read(f"{kept}/snap/db") == OLD
    assert scene.host.stat(WORK) is None
    found = scene.host.read(DB) or b""
    assert found == OLD if verb == "recover" else found.endswith(SNAPSHOT)


def test_killed_at_every_change_a_rerun_converges(verb: str) -> None:
    clean = Scene(plan(verb), quorum=verb == "restore")
    clean.run()
    found = places(verb)
    assert len(found) > 40
    for place in found:
        scene = Scene(plan(verb), quorum=verb == "restore")
        with pytest.raises(Killed):
            scene.run(Watched(Killer(place)))
        if scene.host.stat(WORK) is not None or place[0].partition("/")[2] in ("note", "others"):
            scene.plan = plan(verb, led=answers(scene.etcd))
            scene.run()
        assert scene.essence() == clean.essence(), place


def answers(etcd: FakeEtcd) -> bool:
    with contextlib.suppress(EtcdUnavailable):
        return bool(etcd.members())
    return False


def test_on_etcds_own_machine_no_api_is_waited_for(verb: str) -> None:
    alone = ("etcd",)
    scene = Scene(plan(verb, alone), quorum=verb == "restore", pods=alone)
    scene.api.unavailable = "there is no API server to talk to yet"
    scene.run()
    assert [one.name for one in scene.etcd.members()] == ["cp-1"]
    assert scene.host.stat(WORK) is None
    assert set(scene.plan.roles.values()) == {"etcd"}


class Killer:
    """Nothing is changed any more after the place, whoever tries."""

    def __init__(self, place: tuple[str, str]) -> None:
        self._place = place
        self._dead = False

    def __call__(self, step: str, operation: str, leave: Leave) -> None:
        if self._dead:
            raise Killed
        if (step, operation) == self._place:
            leave()
            self._dead = True
            raise Killed


def test_a_dry_run_shows_the_whole_way_and_changes_nothing(verb: str) -> None:
    scene = Scene(plan(verb), quorum=verb == "restore")
    scene.api.unavailable = "connection refused"
    said: list[Event] = []
    before = scene.host.snapshot()
    view = View(scene.host, scene.api, scene.etcd)
    inspect.inspect(scene.plan, {"cp-1": view, CLUSTER: view}, said.append)
    states = {event.step: event.state for event in said if isinstance(event, StepFinished)}
    assert "blocked" not in states.values() and states[f"{verb}/stopped"] == "drift"
    assert states[f"{verb}/etcd"] == states[f"{verb}/control-plane"] == "later"
    assert (scene.host.snapshot(), scene.etcd.changes) == (before, [])


def test_recovering_moves_the_endpoint_off_a_lost_machine() -> None:
    scene = Scene(plan("recover"))
    scene.run()
    info = scene.api.get("v1", "ConfigMap", "cluster-info", "kube-public") or {}
    assert "192.0.2.11:8443" in str(info["data"]) and "192.0.2.12" not in str(info["data"])


def test_restoring_takes_the_others_out_first_while_they_can_be_told() -> None:
    scene = Scene(plan("restore"), quorum=True)
    scene.etcd.down = {"cp-3"}
    scene.run()
    assert scene.etcd.changes == ["remove cp-3", "remove cp-2"]


def test_an_etcd_that_had_a_leader_is_not_left_with_the_others_when_it_has_none_for_a_moment() -> None:
    scene = Scene(plan("restore"), quorum=False)
    with pytest.raises(errors.KubebootError, match="no leader"):
        scene.run()
    assert scene.host.read(DB) == OLD and scene.host.stat(WORK) is None


def test_the_flag_is_in_no_manifest_that_is_kept() -> None:
    text = etcd_local.forced(POD.render("").encode())
    words = render.load(text)["spec"]["containers"][0]["command"]
    assert words[:-1] == list(POD.command) and words[-1] == FORCED


@pytest.mark.parametrize("name", ["recover/stopped", "recover/copy"])
def test_what_comes_before_the_data_is_touched_can_be_taken_back(name: str) -> None:
    converges(next(step for step in plan("recover").steps if step.id == name), Machine())


@pytest.mark.parametrize(
    ("step", "free"), [("restore/data", 1 << 20), ("recover/copy", 5)], ids=lambda value: str(value)
)
def test_a_disk_that_is_too_small_stops_it_before_the_data_is_touched(step: str, free: int) -> None:
    scene = Scene(plan(step.partition("/")[0]))
    scene.host.free = free
    found = next(one for one in scene.plan.steps if one.id == step)
    answer = found.check(Target(scene.host, NoApi(), scene.etcd).see, Values())
    assert isinstance(answer, Blocked) and answer.reason == "KB_DISK"


def test_a_snapshot_that_went_away_is_named() -> None:
    scene = Scene(plan("restore", led=False))
    del scene.host.files["/backup/etcd.db"]
    with pytest.raises(errors.KubebootError, match=r"/backup/etcd\.db"):
        scene.run()
    assert scene.host.read(DB) == OLD


def test_where_there_was_no_data_a_snapshot_still_becomes_some() -> None:
    note = dataclasses.replace(RESTORE, had_data=False)
    scene = Scene(planning.restore("cp-1", mine(), note, "token", led=False))
    scene.host.remove_tree(f"{DATA}/member")
    scene.run()
    assert (scene.host.read(DB) or b"").endswith(SNAPSHOT)
    assert scene.host.stat(note.kept) is None


def test_etcd_is_not_alone_while_the_flag_still_runs() -> None:
    scene = Scene(plan("recover"))
    scene.host.files[POD.path] = File(etcd_local.forced(POD.render("").encode()), 0o600)
    scene.host.process_table[9] = Process(9, "etcd", "", ("etcd", FORCED))
    see = Target(scene.host, NoApi(), scene.etcd).see
    assert "force-new-cluster" in str(etcd_repair.Alone("cp-1", "192.0.2.11").look(see, Values()))
    assert etcd_repair.Alone("cp-1", "192.0.2.11", forced=True).look(see, Values()) is None


def test_a_note_survives_the_disk() -> None:
    host = FakeHost("cp-1")
    assert etcd_local.note(host) is None
    host.write(NOTE, RESTORE.encode())
    assert etcd_local.note(host) == RESTORE
