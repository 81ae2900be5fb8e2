"""The engine on a machine in memory: order, journal before change, resume, failure, interruption."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence

import pytest

from kubeboot import errors
from kubeboot.engine import execute
from kubeboot.engine import journal as journals
from kubeboot.engine.events import Event, StepFinished, StepStarted, StepWaiting
from kubeboot.engine.inspect import inspect
from kubeboot.engine.journal import Journal
from kubeboot.engine.plan import Plan, edges, remaining
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Blocked, Check, Drift, Later, Ok, Slot, Step, Target, View
from kubeboot.engine.tally import Outcome
from kubeboot.engine.undo import RemoveDir, RemovePath, RestoreFile, Undo
from kubeboot.engine.values import Key, Secret, Values
from kubeboot.fleet.run import attempt
from kubeboot.host.api import CommandFailed, Lost
from kubeboot.host.model import Stat
from kubeboot.kube.api import NoApi
from kubeboot.steps.files import EnsureFile
from kubeboot.steps.machine import Reader
from tests.fakes.host import FakeHost

COLOUR: Key[str] = Key("colour")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Put(Step):
    """Make a file exist."""

    path: str = ""
    data: bytes = b"x"

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.read(self.path) == self.data else Drift(f"create {self.path}")

    def undo(self, see: View) -> Sequence[Undo]:
        return (RemovePath(self.path),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.write(self.path, self.data)

    def read(self, see: View, key: Key[str]) -> str:
        return (see.host.read(self.path) or b"").decode()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Says(Step):
    """Answer every check in one way; an apply that changes nothing."""

    answer: Check = Ok()

    def check(self, see: View, vals: Values) -> Check:
        return self.answer

    def apply(self, do: Target, vals: Values) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class After:
    """Holds from the n-th look on."""

    looks: list[int]
    deadline: float = 5.0
    sentence: str = "the third look"

    def look(self, see: View, vals: Values) -> str | None:
        self.looks.append(1)
        return None if len(self.looks) >= 3 else f"look {len(self.looks)}"

    def explain(self, see: View) -> str:
        return "it was never looked at thrice"


def put(name: str, *after: str, **more: object) -> Put:
    return Put(id=name, title=f"Put {name}", on="cp-1", path=f"/etc/{name}", after=frozenset(after), **more)  # type: ignore[arg-type]


def plan(*steps: Step) -> Plan:
    return Plan("test", "a test", steps, {"cp-1": "control_plane"})


def go(host: FakeHost, *steps: Step, stop: threading.Event | None = None) -> tuple[Outcome, list[Event]]:
    journal = Journal(host)
    journal.begin("test")
    events: list[Event] = []
    target = Target(host, NoApi())
    site = Site(target, journal)
    return run(plan(*steps), {"cp-1": site, "@cluster": site}, events.append, stop=stop), events


def states(events: list[Event]) -> dict[str, str]:
    return {e.step: e.state for e in events if isinstance(e, StepFinished)}


def test_a_second_run_changes_nothing() -> None:
    host = FakeHost()
    first, _ = go(host, put("a"), put("b", "a"))
    before = host.snapshot()
    second, events = go(host, put("a"), put("b", "a"))
    assert (first.changed, second.changed, second.ok) == (2, 0, 2)
    assert states(events) == {"a": "ok", "b": "ok"}
    assert {k for k in host.snapshot()["files"] if "kubeboot" not in k} == {
        k for k in before["files"] if "kubeboot" not in k
    }


def test_the_journal_is_written_before_the_change() -> None:
    host = FakeHost()
    go(host, put("a"))
    ops = [(c.op, c.subject) for c in host.changes if c.subject in ("/etc/a", journals.PATH)]
    assert ops.index(("write", "/etc/a")) > ops.index(("append", journals.PATH))
    assert journals.undo_list(host) == (("a", RemovePath("/etc/a")),)


class Asked(FakeHost):
    """Notes which files it was asked for, what had been written by then, and each question for entries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []
        self.entries: list[tuple[str, ...]] = []

    def stats(self, paths: tuple[str, ...]) -> dict[str, Stat | None]:
        self.entries.append(paths)
        return super().stats(paths)

    def read(self, path: str) -> bytes | None:
        self.asked.append((path, sum(change.op == "write" for change in self.changes)))
        return super().read(path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restores(Put):
    """Its undo asks what its check has asked."""

    def undo(self, see: View) -> Sequence[Undo]:
        return () if see.host.read(self.path) else super().undo(see)


def test_a_step_asks_nothing_twice_before_it_writes_and_everything_again_after_that() -> None:
    host = Asked()
    go(host, Restores(id="a", title="", on="cp-1", path="/etc/a"))
    assert [entry for entry in host.asked if entry[0] == "/etc/a"] == [("/etc/a", 0), ("/etc/a", 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looks(Put):
    """Looks before it writes, as often as `times` says; the connection may be lost after that."""

    times: int = 1
    lost: list[Lost] = dataclasses.field(default_factory=list)

    def apply(self, do: Target, vals: Values) -> None:
        for _ in range(self.times):
            do.host.read(self.path)
        if self.lost:
            raise self.lost.pop()
        super().apply(do, vals)


@pytest.mark.parametrize(("times", "before"), [(1, 1), (2, 2), (3, 3)])
def test_an_apply_knows_what_its_check_has_seen_and_sees_a_change_when_it_looks_again(
    times: int, before: int
) -> None:
    host = Asked()
    go(host, Looks(id="a", title="", on="cp-1", path="/etc/a", times=times))
    assert [at for path, at in host.asked if path == "/etc/a"] == [*[0] * before, 1]


def test_what_was_seen_before_a_connection_was_lost_is_asked_anew() -> None:
    host = Asked()
    go(host, Looks(id="a", title="", on="cp-1", path="/etc/a", lost=[Lost("gone")]))
    assert [at for path, at in host.asked if path == "/etc/a"] == [0, 0, 0, 1]


def test_of_what_is_not_there_nothing_more_is_asked() -> None:
    host = Asked()
    go(
        host,
        EnsureFile(id="a", title="", on="cp-1", path="/etc/a", data=b"x", reader=Reader("a.service", "1")),
    )
    assert [entry for entry in host.asked if entry[0] == "/etc/a"] == [("/etc/a", 1)]


def test_a_path_and_the_directories_above_it_are_one_question() -> None:
    host = Asked()
    go(host, EnsureFile(id="a", title="", on="cp-1", path="/etc/new/deep/a", data=b"x"))
    assert host.entries == [("/etc/new/deep/a", "/etc/new/deep", "/etc/new", "/etc", "/")]
    undone = [undo for _, undo in journals.undo_list(host)]
    assert undone == [RemovePath("/etc/new/deep/a"), RemoveDir("/etc/new/deep"), RemoveDir("/etc/new")]


def test_a_kill_between_journal_and_change_keeps_the_oldest_undo() -> None:
    host = FakeHost()
    journal = Journal(host)
    journal.begin("test")
    journal.intend("a", (RemovePath("/etc/a"),))
    host.write("/etc/a", b"half")
    go(host, dataclasses.replace(put("a"), data=b"whole"))
    assert journals.undo_list(host) == (("a", RemovePath("/etc/a")),)


class SlowDisk(FakeHost):
    """Its journal takes no more at a time than is let through; the first `full` ones find no room."""

    def __init__(self) -> None:
        super().__init__()
        self.through = threading.Semaphore(1)
        self.full = 0
        self.appends = 0

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.appends += 1
        self.through.acquire()
        if self.appends <= self.full:
            raise CommandFailed("no space left on device")
        super().append(path, data, mode)


def noted(host: SlowDisk, names: Sequence[str], full: int = 0) -> list[str]:
    """The steps, each in a thread of its own, whose entry was not on the disk when `intend` had returned."""
    journal = Journal(host)
    journal.begin("test")
    host.appends, host.full, bad = 0, full, []

    def one(name: str) -> None:
        try:
            journal.intend(name, (RemovePath(f"/etc/{name}"),))
        except CommandFailed:
            return
        if name not in [step for step, _ in journals.undo_list(host)]:
            bad.append(name)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for number, thread in enumerate(threads):
        thread.start()
        while not host.appends or len(journal._unwritten) < number:
            time.sleep(0.001)
    for _ in names:
        host.through.release()
    for thread in threads:
        thread.join()
    return bad


def test_steps_that_note_something_at_the_same_time_share_a_write() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c", "d"]) == []
    assert host.appends == 2
    assert sorted(step for step, _ in journals.undo_list(host)) == ["a", "b", "c", "d"]


def test_what_one_step_could_not_note_for_all_the_next_one_notes() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c"], full=1) == []
    assert sorted(step for step, _ in journals.undo_list(host)) == ["a", "b", "c"]


def test_nobody_goes_on_while_the_journal_takes_nothing() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c"], full=99) == []
    assert journals.undo_list(host) == () and host.appends == 3


def test_a_torn_last_line_of_the_journal_is_mended() -> None:
    host = FakeHost()
    go(host, put("a"))
    host.append(journals.PATH, b'{"step": "b", "un')
    go(host, put("c"))
    assert [step for step, _ in journals.undo_list(host)] == ["c", "a"]


def test_a_damaged_journal_is_refused() -> None:
    host = FakeHost()
    host.mkdir(journals.HOME)
    host.write(journals.PATH, b"nonsense\n{}\n")
    with pytest.raises(errors.KubebootError, match="damaged"):
        journals.undo_list(host)


@pytest.mark.parametrize(("sweeps", "left"), [(True, ()), (False, (".journal.jsonl.kubeboot-12345678",))])
def test_a_run_that_writes_nothing_here_leaves_the_sweep_to_one_that_does(
    sweeps: bool, left: tuple[str, ...]
) -> None:
    host = FakeHost()
    host.write(f"{journals.HOME}/.journal.jsonl.kubeboot-12345678", b"half")
    Journal(host).begin("test", sweeps=sweeps)
    assert host.listdir(journals.HOME) == (*left, "journal.jsonl")


def test_old_bytes_are_kept_once_and_privately() -> None:
    host = FakeHost()
    host.write("/etc/a", b"old")
    journal = Journal(host)
    journal.begin("test")
    digest = host.sha256("/etc/a") or ""
    journal.intend("a", (RestoreFile("/etc/a", digest, 0o644, "root:root"),))
    kept = host.stat(f"{journals.BEFORE}/{digest}")
    assert host.read(f"{journals.BEFORE}/{digest}") == b"old"
    assert kept is not None and kept.mode == 0o600


def test_a_failure_takes_its_followers_and_nothing_else() -> None:
    host = FakeHost()
    bad = Says(id="bad", title="Bad", on="cp-1", answer=Blocked("no", "do yes", "KB_NO"))
    outcome, events = go(host, bad, put("follower", "bad"), put("far", "follower"), put("other"))
    assert states(events) == {"bad": "failed", "follower": "skipped", "far": "skipped", "other": "changed"}
    with pytest.raises(errors.KubebootError, match="no") as caught:
        outcome.raise_for_failure()
    assert (caught.value.reason, caught.value.step, caught.value.host) == ("KB_NO", "bad", "cp-1")


def test_what_is_only_behind_a_failure_is_tried_all_the_same() -> None:
    bad = Says(id="bad", title="Bad", on="cp-1", answer=Blocked("no"))
    _, events = go(FakeHost(), bad, dataclasses.replace(put("next"), behind=frozenset({"bad"})))
    assert [(e.step, e.state) for e in events if isinstance(e, StepFinished)] == [
        ("bad", "failed"),
        ("next", "changed"),
    ]


def test_an_error_whose_effect_came_about_counts_as_done() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", errors.Unreachable("the answer was lost"), after=True)
    outcome, _ = go(host, put("a"))
    assert (outcome.changed, outcome.failures) == (1, ())


def test_an_error_without_effect_fails() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", errors.Unreachable("gone"))
    outcome, _ = go(host, put("a"))
    assert [e.message for e in outcome.failures] == ["gone"]


def test_a_step_that_does_not_converge_says_so() -> None:
    stubborn = Says(id="s", title="Stubborn", on="cp-1", answer=Drift("always"))
    outcome, _ = go(FakeHost(), stubborn)
    assert outcome.failures[0].reason == "KB_NOT_CONVERGED"


def test_what_cannot_be_known_in_a_run_is_an_error() -> None:
    outcome, _ = go(FakeHost(), Says(id="s", title="S", on="cp-1", answer=Later("the API server")))
    assert outcome.failures[0].reason == "KB_NOT_READY"


def test_a_bug_is_raised_after_the_others_have_ended() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        go(host, put("a"), put("b"))


def test_a_run_ends_whose_news_nobody_takes() -> None:
    """Else the run would wait for ever for the step whose beginning could not be told."""
    host = FakeHost()
    site = Site(Target(host, NoApi()), Journal(host))

    def deaf(event: Event) -> None:
        if isinstance(event, StepStarted):
            raise ZeroDivisionError("a bug")

    raised: list[BaseException] = []

    def go_deaf() -> None:
        try:
            run(plan(put("a"), put("b")), {"cp-1": site}, deaf)
        except ZeroDivisionError as error:
            raised.append(error)

    running = threading.Thread(target=go_deaf, daemon=True)
    running.start()
    running.join(30)
    assert [str(error) for error in raised] == ["a bug"]


def test_settling_reports_what_it_sees_and_waits() -> None:
    looks: list[int] = []
    step = dataclasses.replace(put("a"), settle=After(looks))
    outcome, events = go(FakeHost(), step)
    assert outcome.changed == 1
    assert [e.last for e in events if isinstance(e, StepWaiting)] == ["look 1", "look 2"]


@dataclasses.dataclass(frozen=True)
class Laborious(After):
    """Each look takes 20 ms of the CPU."""

    def look(self, see: View, vals: Values) -> str | None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return super().look(see, vals)


def test_a_wait_leaves_the_cpu_to_what_it_waits_for() -> None:
    looks: list[int] = []
    began = time.monotonic()
    go(FakeHost(), dataclasses.replace(put("a"), settle=Laborious(looks)))
    waits = len(looks) - 1
    assert time.monotonic() - began >= waits * 0.02 / execute.SHARE > waits * execute.POLL


def test_a_timeout_names_the_last_thing_seen_and_explains() -> None:
    step = dataclasses.replace(put("a"), settle=After([], deadline=0.0))
    outcome, _ = go(FakeHost(), step)
    error = outcome.failures[0]
    assert isinstance(error, errors.TimedOut)
    assert "look 1" in error.message and error.output == "it was never looked at thrice"


@dataclasses.dataclass(frozen=True)
class Never(After):
    """What does not come."""

    def look(self, see: View, vals: Values) -> str | None:
        return "nothing"


def test_a_wait_does_not_outlast_by_much_what_failed_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that did not fit on the disk is told at once, not when its container is given up."""
    monkeypatch.setattr(execute, "GRACE", 0.2)
    host = FakeHost()
    host.fail_at("/etc/b", CommandFailed("no space left on device"))
    waiting = dataclasses.replace(put("a"), settle=Never([], deadline=300.0))
    began = time.monotonic()
    outcome, _ = go(host, waiting, put("b"))
    assert time.monotonic() - began < 30
    assert [error.step for error in outcome.failures] == ["b", "a"]
    assert "no space left" in outcome.failures[0].message and "waited 0s" in outcome.failures[1].message


def test_stopping_finishes_what_runs_and_skips_the_rest() -> None:
    stop = threading.Event()
    host = FakeHost()

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Stopper(Put):
        def apply(self, do: Target, vals: Values) -> None:
            super().apply(do, vals)
            stop.set()

    first = Stopper(id="a", title="A", on="cp-1", path="/etc/a")
    outcome, events = go(host, first, put("b", "a"), stop=stop)
    assert states(events) == {"a": "changed", "b": "skipped"}
    with pytest.raises(errors.Interrupted):
        outcome.raise_for_failure()


def test_values_flow_from_giver_to_taker() -> None:
    seen: list[str | None] = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Taker(Step):
        def check(self, see: View, vals: Values) -> Check:
            seen.append(vals.get(COLOUR))
            return Ok()

    giver = dataclasses.replace(put("a"), gives=frozenset({COLOUR}))
    go(FakeHost(), Taker(id="t", title="T", on="cp-1", needs=frozenset({COLOUR})), giver)
    assert seen == ["x"]


@pytest.mark.parametrize("room", [1, 3])
def test_no_more_run_at_once_than_a_slot_has_room_for(room: int) -> None:
    inside: list[str] = []
    most: list[int] = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Alone(Put):
        def apply(self, do: Target, vals: Values) -> None:
            inside.append(self.id)
            most.append(len(inside))
            super().apply(do, vals)
            inside.remove(self.id)

    slot = frozenset({Slot("host", "disk", room)})
    go(FakeHost(), *(Alone(id=f"s{n}", title="", on="cp-1", path=f"/etc/s{n}", holds=slot) for n in range(9)))
    assert len(most) == 9 and max(most) <= room


def test_looking_changes_nothing_and_knows_later_from_drift() -> None:
    host = FakeHost()
    before = host.snapshot()
    events: list[Event] = []
    view = View(host, NoApi())
    later = Says(id="z", title="Z", on="cp-1", answer=Later("the API server"))
    same = inspect(plan(put("b", "a"), put("a"), later), {"cp-1": view}, events.append)
    assert not same
    assert host.snapshot() == before and host.changes == []
    assert states(events) == {"a": "drift", "b": "drift", "z": "later"}


def test_looking_after_a_run_says_that_nothing_would_change() -> None:
    host = FakeHost()
    go(host, put("a"), put("b"))
    assert inspect(plan(put("a"), put("b")), {"cp-1": View(host, NoApi())}, lambda event: None)


def test_a_ref_to_nothing_is_refused_but_not_to_a_skipped_step() -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        edges(plan(put("a", "nobody")))
    assert edges(plan(put("a", "b"), put("b")).without(["b"])) == {("cp-1", "a"): frozenset()}


def test_refs_reach_prefixes_roles_and_the_cluster() -> None:
    steps = (
        put("pki/ca"),
        put("pki/leaf"),
        put("x", "pki/"),
        put("y", "control_plane:x", "cp-1:pki/ca"),
        Says(id="obj", title="", on="@cluster", after=frozenset({"x"})),
        put("last", "@cluster:obj", "obj"),
    )
    found = edges(plan(*steps))
    assert found["cp-1", "x"] == {("cp-1", "pki/ca"), ("cp-1", "pki/leaf")}
    assert found["cp-1", "y"] == {("cp-1", "x"), ("cp-1", "pki/ca")}
    assert found["@cluster", "obj"] == {("cp-1", "x")}
    assert found["cp-1", "last"] == {("@cluster", "obj")}


def test_two_steps_with_one_id_are_a_bug() -> None:
    with pytest.raises(ValueError, match="two steps"):
        edges(plan(put("a"), put("a")))


def test_the_longest_remaining_path_counts_followers() -> None:
    steps = plan(put("a", cost=1.0), put("b", "a", cost=5.0), put("c", cost=2.0))
    assert remaining(steps, edges(steps)) == {("cp-1", "a"): 6.0, ("cp-1", "b"): 5.0, ("cp-1", "c"): 2.0}


def test_secrets_do_not_show() -> None:
    secret = Secret(b"hush")
    assert (repr(secret), str(secret), f"{secret}") == ("***", "***", "***")
    assert secret.reveal() == b"hush"
    assert secret == Secret(b"hush") and secret != Secret(b"other") and secret != b"hush"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meets(Put):
    """While it is at work somebody else comes."""

    def apply(self, do: Target, vals: Values) -> None:
        with (
            pytest.raises(errors.Occupied, match=r"pid \d+ since .*: kubeboot init, at step one"),
            do.host.lock(journals.LOCK, "bob"),
        ):
            pytest.fail("two hold the lock")
        super().apply(do, vals)


def test_who_comes_while_a_run_holds_the_machine_is_told_its_step() -> None:
    plan = Plan("init", "", (Meets(id="one", title="One", on="cp-1", path="/etc/one"),), {"cp-1": "worker"})
    assert attempt(plan, FakeHost(), NoApi(), lambda event: None).changed == 1
