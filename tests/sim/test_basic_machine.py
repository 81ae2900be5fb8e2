"""The generic steps about what runs: modules, settings, units, binaries, images, waiting."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot import errors
from kubeboot.engine.execute import Context, execute
from kubeboot.engine.journal import Journal, undo_list
from kubeboot.engine.step import Blocked, Check, Drift, Impact, Later, Ok, Step, Target, View
from kubeboot.engine.values import Key, Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Image, Stat
from kubeboot.kube.api import ApiUnavailable, NoApi
from kubeboot.steps import basic, offered, undoing
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource
from tests.sim.contract import converges

UNIT_PATH = "/etc/systemd/system/x.service"
DROP_IN = f"{UNIT_PATH}.d/10-kubeboot-inputs.conf"


def target(host: FakeHost) -> Target:
    return Target(host, NoApi())


def check(step: Step, host: FakeHost) -> Check:
    return step.check(View(host, NoApi()), Values())


# --- kernel ------------------------------------------------------------------------------------------------


def module() -> basic.EnsureModule:
    return basic.EnsureModule(id="m", title="Load m", on="cp-1", name="br_netfilter")


def test_a_module_is_loaded_once() -> None:
    host = FakeHost()
    assert check(module(), host) == Drift("load the module br_netfilter", "create")
    module().apply(target(host), Values())
    assert check(module(), host) == Ok()
    assert host.modules == {"br_netfilter"}


def test_a_missing_module_says_what_to_do() -> None:
    host = FakeHost()
    host.missing_modules.add("br_netfilter")
    with pytest.raises(CommandFailed) as failed:
        module().apply(target(host), Values())
    assert "install the running kernel's modules" in (failed.value.hint or "")


def sysctl(value: str = "10", **more: object) -> basic.EnsureSysctl:
    return basic.EnsureSysctl(id="s", title="Set s", on="cp-1", key="kernel.a", value=value, **more)  # type: ignore[arg-type]


class ReadOnly(FakeHost):
    """A container: /proc/sys shows the key, and no write bit."""

    def stat(self, path: str) -> Stat | None:
        if path == "/proc/sys/kernel/a":
            return Stat("file", 0o444, 0, 0, 0)
        return super().stat(path)


DRIFT = Drift("kernel.a: 5 → 10", "change")
SYSCTLS: tuple[tuple[str | None, dict[str, object], type[FakeHost], type | Check], ...] = (
    ("10", {}, FakeHost, Ok()),
    ("5", {}, FakeHost, DRIFT),
    ("10 ", {}, FakeHost, Ok()),
    ("20", {}, FakeHost, Drift("kernel.a: 20 → 10", "change")),
    ("20", {"at_least": True}, FakeHost, Ok()),
    ("10", {"at_least": True}, FakeHost, Ok()),
    ("5", {"at_least": True}, FakeHost, DRIFT),
    ("5", {"optional": True}, FakeHost, DRIFT),
    ("5", {"optional": True}, ReadOnly, Ok()),
    ("5", {}, ReadOnly, DRIFT),
    (None, {}, FakeHost, Blocked),
    (None, {"optional": True}, FakeHost, Ok()),
    (None, {"module": "br_netfilter"}, FakeHost, Later("the kernel module br_netfilter")),
    (None, {"module": "br_netfilter", "optional": True}, FakeHost, Later),
    (None, {"module": "loaded"}, FakeHost, Blocked),
    (None, {"module": "loaded", "optional": True}, FakeHost, Ok()),
)


@pytest.mark.parametrize(("present", "fields", "kind", "wanted"), SYSCTLS)
def test_a_setting_is_judged(
    present: str | None, fields: dict[str, object], kind: type[FakeHost], wanted: type | Check
) -> None:
    host = kind()
    host.modules.add("loaded")
    if present is not None:
        host.sysctls["kernel.a"] = present
    found = check(sysctl(**fields), host)
    assert isinstance(found, wanted) if isinstance(wanted, type) else found == wanted
    assert host.changes == []


def test_a_setting_converges_and_is_put_back() -> None:
    host = FakeHost()
    host.sysctls["kernel.a"] = "5"
    assert converges(sysctl(), host) == DRIFT


# --- units -------------------------------------------------------------------------------------------------


def unit(digest: str = "one") -> basic.EnsureUnit:
    return basic.EnsureUnit(id="u", title="Run x", on="cp-1", unit="x.service", digest=digest)


def unit_file() -> basic.EnsureUnitFile:
    return basic.EnsureUnitFile(
        id="f",
        title="Write x",
        on="cp-1",
        path=UNIT_PATH,
        data=b"[Service]\nExecStart=/ours\n",
        unit="x.service",
    )


def with_unit(digest: str | None = "one", running: bool = False) -> FakeHost:
    host = FakeHost()
    host.files[UNIT_PATH] = File(b"[Service]\nExecStart=/bin/x\n")
    if digest:
        host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}={digest}\n".encode())
    if running:
        host.systemd.start("x.service")
        host.systemd.enable("x.service")
    return host


def test_a_first_start_disturbs_nobody() -> None:
    assert converges(unit(), with_unit()) == Drift("start x.service", "create")
    assert unit().impact is Impact.RESTART


def test_an_enabled_unit_starts_without_another_reload() -> None:
    host = with_unit()
    step = basic.EnsureEnabled(id="e", title="Enable x", on="cp-1", unit="x.service")
    assert converges(step, host) == Drift("enable x.service", "create")
    host.changes.clear()
    unit().apply(target(host), Values())
    assert [change.op for change in host.changes] == ["start"]


def test_a_unit_whose_files_changed_after_systemd_read_them_is_read_again() -> None:
    host = with_unit()
    host.enable("x.service")
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=two\n".encode())
    unit("two").apply(target(host), Values())
    assert host.unit("x.service").environment[basic.INPUTS] == "two"


def test_a_unit_that_runs_from_the_same_inputs_is_left_alone() -> None:
    host = with_unit(running=True)
    assert check(unit(), host) == Ok()
    assert host.changes == []


def test_other_inputs_restart_it_once() -> None:
    host = with_unit(running=True)
    before = host.unit("x.service").pid
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=two\n".encode())
    found = check(unit("two"), host)
    assert isinstance(found, Drift)
    assert found.change == "change"
    unit("two").apply(target(host), Values())
    after = host.unit("x.service").pid
    assert after != before
    assert check(unit("two"), host) == Ok()
    unit("two").apply(target(host), Values())
    assert host.unit("x.service").pid == after


def test_a_foreign_process_of_that_name_is_restarted() -> None:
    host = with_unit(digest=None, running=True)
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=one\n".encode())
    assert isinstance(check(unit(), host), Drift)
    unit().apply(target(host), Values())
    assert check(unit(), host) == Ok()


def test_enabling_alone_restarts_nothing() -> None:
    host = with_unit(running=True)
    host.systemd.enable("x.service", enabled=False)
    before = host.unit("x.service").pid
    assert converges(unit(), host) == Drift("enable x.service", "change", quiet=True)
    unit().apply(target(host), Values())
    assert host.unit("x.service").pid == before


@pytest.mark.parametrize("state", ["activating", "failed", "deactivating"])
def test_a_unit_that_hangs_between_states_is_restarted(state: str) -> None:
    host = with_unit(running=True)
    host.systemd.units["x.service"] = dataclasses.replace(host.unit("x.service"), active=state)
    assert check(unit(), host) == Drift("start x.service", "create")
    unit().apply(target(host), Values())
    assert check(unit(), host) == Ok()
    assert ("restart", "x.service") in host.changes


def test_a_unit_that_cannot_start_shows_its_last_words() -> None:
    host = with_unit()
    host.systemd.broken["x.service"] = "exit-code"
    host.journals["x.service"] = ["reading config", "bad key on line 3"]
    with pytest.raises(CommandFailed) as failed:
        unit().apply(target(host), Values())
    assert "bad key on line 3" in (failed.value.output or "")
    assert failed.value.hint


def test_a_foreign_unit_runs_again_when_ours_is_gone() -> None:
    host = FakeHost()
    host.files["/usr/lib/systemd/system/x.service"] = File(b"[Service]\nEnvironment=OWNER=distro\n")
    host.systemd.start("x.service")
    host.systemd.enable("x.service")
    journal = Journal(host)
    journal.begin("test")
    for step in (unit_file(), unit()):
        journal.intend(step.id, step.undo(View(host, NoApi())))
        step.apply(target(host), Values())
    assert "OWNER" not in host.unit("x.service").environment
    host.systemd.stop("x.service")
    for _, undo in undo_list(host):
        if not undoing.is_done(undo, View(host, NoApi())):
            undoing.perform(undo, target(host))
    assert host.unit("x.service").environment == {"OWNER": "distro"}
    assert host.unit("x.service").enabled
    assert UNIT_PATH not in host.files


def test_a_unit_file_of_a_unit_that_never_ran_just_goes() -> None:
    converges(unit_file(), FakeHost())


# --- what a source offers ----------------------------------------------------------------------------------


def binary(source: FakeSource) -> basic.EnsureBinary:
    wanted = source.catalog().binary("kubectl")
    return basic.EnsureBinary(id="b", title="Install", on="cp-1", binary=wanted, source=source)


def with_binary(data: bytes, mode: int = 0o755) -> FakeHost:
    host = FakeHost()
    host.files["/usr/local/bin/kubectl"] = File(data, mode)
    return host


BINARIES = {
    "absent": (FakeHost, "install kubectl 1.0 as /usr/local/bin/kubectl"),
    "other bytes": (lambda: with_binary(b"old"), "replace /usr/local/bin/kubectl by kubectl 1.0"),
    "other mode": (lambda: with_binary(b"kubectl 1.0 ", 0o700), "/usr/local/bin/kubectl: mode 0700 → 0755"),
}


@pytest.mark.parametrize("case", BINARIES)
def test_a_binary_converges_and_what_was_there_is_put_back(case: str) -> None:
    made, words = BINARIES[case]
    assert converges(binary(FakeSource()), made()).summary == words


def test_a_binary_with_the_right_sum_is_not_asked_for() -> None:
    source = FakeSource()
    assert check(binary(source), with_binary(b"kubectl 1.0 ")) == Ok()
    assert source.asked == []


def test_bytes_with_the_wrong_sum_never_arrive() -> None:
    good, bad = FakeSource(), FakeSource("tampered")
    host = with_binary(b"old")
    with pytest.raises(CommandFailed):
        dataclasses.replace(binary(good), source=bad).apply(target(host), Values())
    assert host.files["/usr/local/bin/kubectl"].data == b"old"


def test_a_step_prints_and_compares_without_its_source() -> None:
    step = binary(FakeSource())
    assert "FakeSource" not in repr(step)
    assert step == binary(FakeSource())
    assert hash(step) == hash(binary(FakeSource()))


def image(source: FakeSource, pinned: bool = True) -> basic.EnsureImage:
    wanted = source.catalog().image("pause")
    return basic.EnsureImage(id="i", title="Import", on="cp-1", image=wanted, source=source, pinned=pinned)


def with_containerd() -> FakeHost:
    host = FakeHost()
    host.files["/etc/systemd/system/containerd.service"] = File(b"[Service]\n")
    host.systemd.start("containerd.service")
    return host


def test_images_cannot_be_known_before_containerd_runs() -> None:
    assert check(image(FakeSource()), FakeHost()) == Later("containerd")


def test_one_look_is_enough_for_images_that_are_there_and_right() -> None:
    host, look = with_containerd(), basic.LookForImages(id="l", title="Look", on="cp-1")
    wanted = image(FakeSource())
    wanted.apply(target(host), Values())
    vals = Values()
    vals.put(offered.SEEN, look.read(View(host, NoApi()), offered.SEEN))
    host.image_table.clear()
    assert wanted.check(View(host, NoApi()), vals) == Ok()
    vals.put(offered.SEEN, look.read(View(host, NoApi()), offered.SEEN))
    assert isinstance(wanted.check(View(host, NoApi()), vals), Drift)


def test_an_image_converges_and_goes_again() -> None:
    assert converges(image(FakeSource()), with_containerd()).summary == "import registry.k8s.io/pause:1.0"


@pytest.mark.parametrize(
    ("digest", "pinned", "words"), [("sha256:0", True, "replace"), ("", False, "pin"), ("", True, None)]
)
def test_an_image_by_that_name_is_looked_at_closely(digest: str, pinned: bool, words: str | None) -> None:
    source, host = FakeSource(), with_containerd()
    wanted = source.catalog().image("pause")
    host.image_table[wanted.name] = Image(wanted.name, digest or wanted.digest, pinned)
    found = check(image(source), host)
    assert found.summary.startswith(words) if isinstance(found, Drift) and words else found == Ok()
    image(source).apply(target(host), Values())
    assert host.image_table[wanted.name] == Image(wanted.name, wanted.digest, True)


def test_a_pinned_image_satisfies_who_does_not_ask_for_it() -> None:
    source, host = FakeSource(), with_containerd()
    image(source).apply(target(host), Values())
    assert check(image(source, pinned=False), host) == Ok()


# --- waiting -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Third:
    """Holds at the third look; with `error`, raises before that."""

    error: errors.KubebootError | None = None
    looks: int = 0
    sentence: str = "the third look"
    deadline: float = 5.0

    def look(self, see: View, vals: Values) -> str | None:
        self.looks += 1
        if self.error and self.looks < 2:
            raise self.error
        return None if self.looks >= 3 else f"look {self.looks}"

    def explain(self, see: View) -> str:
        return ""


TOKEN: Key[str] = Key("token")


def wait(condition: Third, needs: frozenset[Key[str]] = frozenset()) -> basic.Await:
    return basic.Await(id="w", title="Wait", on="cp-1", condition=condition, needs=needs)


class Nowhere:
    """A journal that must not hear of anything to undo."""

    def intend(self, step: str, changes: tuple[object, ...]) -> None:
        assert changes == ()


class NoWaiting:
    """The stop event of a run, without its pauses."""

    def wait(self, seconds: float) -> bool:
        return False

    def is_set(self) -> bool:
        return False


def test_waiting_ends_when_the_condition_holds() -> None:
    condition, host = Third(), FakeHost()
    run = Context(Values(), lambda event: None, NoWaiting())  # type: ignore[arg-type]
    found = execute(wait(condition), target(host), Nowhere(), run)
    assert found == Drift("wait for the third look", "create")
    assert host.changes == []
    assert execute(wait(condition), target(host), Nowhere(), run) is None


def test_a_dry_run_does_not_ask_for_what_cannot_be_there_yet() -> None:
    unreachable = wait(Third(ApiUnavailable("no API")))
    assert check(unreachable, FakeHost()) == Drift("wait for the third look", "create")
    unknown = Third()
    assert isinstance(check(wait(unknown, frozenset({TOKEN})), FakeHost()), Drift)
    assert unknown.looks == 0


def test_an_error_that_is_no_absence_is_not_hidden() -> None:
    with pytest.raises(CommandFailed):
        check(wait(Third(CommandFailed("ip: bad argument"))), FakeHost())
