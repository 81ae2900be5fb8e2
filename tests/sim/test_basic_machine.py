"""The generic steps about a machine's kernel, and about waiting for it."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot import errors
from kubeboot.engine.execute import Context, execute
from kubeboot.engine.step import Blocked, Check, Drift, Later, Ok, View
from kubeboot.engine.values import Key, Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Stat
from kubeboot.kube.api import ApiUnavailable
from kubeboot.steps import basic
from tests.fakes.host import FakeHost
from tests.sim.basic_support import check, target
from tests.sim.contract import converges

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
