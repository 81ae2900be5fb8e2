"""One kill, one rerun: what is there then is what a clean run leaves, and a reset takes all of it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import queue
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from kubeboot.engine.failpoints import TOLD
from tests.e2e.harness import Machine, difference, snapshot
from tests.e2e.picture import picture

T = TypeVar("T")
RESET = ("kubeboot", "reset", "--yes")
PLACES = "/tmp/kubeboot-places"
SURVIVES = ("sh", "-c", '"$@"; exit $?', "sh")
"""sudo dies of the signal that its command dies of, and sshd then tells no exit code: a shell does not."""
TRIES = 3
"""Runs that may pass a place by: a wait whose condition holds already does nothing."""
QUIET = 5.0
SETTLES = 60.0
"""Seconds that controllers may take to catch up with a cluster whose machine was killed a moment ago."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A command on a machine, whose cluster is asked for at `cp`; what a clean run and its reset were."""

    machine: Machine
    argv: Sequence[str]
    cp: Machine
    forget: Callable[[], object]
    bare: dict[str, str]
    made: dict[str, str]
    places: Sequence[str]
    seconds: float
    reset_seconds: float

    @classmethod
    def clean(cls, machine: Machine, argv: Sequence[str], cp: Machine, forget: Callable[[], object]) -> Trial:
        """Run and reset it once, unharmed."""
        bare = snapshot(machine)
        places, seconds = timed(lambda: recorded(machine, *argv))
        nothing_to_do(machine, argv)
        made = settled(machine, cp)
        _, reset_seconds = timed(lambda: machine.run(*RESET))
        trial = cls(machine, argv, cp, forget, bare, made, places, seconds, reset_seconds)
        trial.back()
        return trial

    def case(self, kill: Callable[[], object], reset: float) -> None:
        """Kill the command, run it again, compare; kill the reset within its time, run it again, compare."""
        kill()
        self.again()
        killed_after(self.machine, reset * self.reset_seconds, *RESET)
        self.back()

    def again(self) -> None:
        """One rerun makes what a clean run makes."""
        self.machine.run(*self.argv)
        nothing_to_do(self.machine, self.argv)
        found = self.differs()
        assert not found, "not as after a clean run:\n" + "\n".join(found)

    def back(self) -> None:
        """A reset leaves nothing."""
        self.machine.run(*RESET)
        left = difference(self.bare, snapshot(self.machine))
        assert not left, "not as before:\n" + "\n".join(left)
        self.forget()

    def differs(self, apart: str = "\n") -> list[str]:
        """What is not as after a clean run, lines with `apart` aside, once controllers have caught up."""
        end = time.monotonic() + SETTLES
        while True:
            lines = difference(self.made, picture(self.machine, self.cp))
            found = [line for line in lines if apart not in line]
            if not found or time.monotonic() > end:
                return found
            time.sleep(1)


@dataclasses.dataclass(frozen=True)
class Case:
    """How a trial is killed, and after which part of its time the reset after it."""

    name: str
    kill: Callable[[Trial], object]
    reset: float


def at_places(trial: Trial, seed: int) -> list[Case]:
    """One place of each step, drawn at random."""
    draw = random.Random(seed)  # noqa: S311
    return [Case(place, _at(place), draw.random()) for place in one_of_each(trial.places, seed)]


def _at(place: str) -> Callable[[Trial], object]:
    def kill(trial: Trial) -> None:
        for _ in range(TRIES):
            if killed(trial.machine, [place], *trial.argv):
                return
            trial.back()
        raise AssertionError(f"no run passed {place}")

    return kill


def at_times(trial: Trial, seed: int, number: int) -> list[Case]:
    """At random times of a run."""
    draw = random.Random(seed)  # noqa: S311
    times = [draw.uniform(0.1, trial.seconds) for _ in range(number)]
    return [Case(f"after {seconds:.2f} s", _after(seconds), draw.random()) for seconds in times]


def _after(seconds: float) -> Callable[[Trial], object]:
    return lambda trial: killed_after(trial.machine, seconds, *trial.argv)


def mine(cases: Sequence[Case]) -> list[Case]:
    """Those that KUBEBOOT_SLICE (2/5: the second fifth) and KUBEBOOT_ONLY (an expression) ask for."""
    number, of = map(int, os.environ.get("KUBEBOOT_SLICE", "1/1").split("/"))
    only = re.compile(os.environ.get("KUBEBOOT_ONLY", ""))
    return [case for case in cases[number - 1 :: of] if only.search(case.name)]


def side_by_side(makes: Sequence[Callable[[], Trial]]) -> list[Trial]:
    """Trials of machines that have nothing to do with each other."""
    with concurrent.futures.ThreadPoolExecutor(len(makes)) as pool:
        return list(pool.map(lambda make: make(), makes))


def failures(trials: Sequence[Trial], cases: Iterable[Case]) -> list[str]:
    """Every case, on whichever trial's machine is free; what went wrong, by the case."""
    left: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        left.put(case)
    with concurrent.futures.ThreadPoolExecutor(len(trials)) as pool:
        lanes = pool.map(lambda trial: list(_lane(trial, left)), trials)
        return [wrong for lane in lanes for wrong in lane]


def _lane(trial: Trial, left: queue.SimpleQueue[Case]) -> Iterator[str]:
    while not left.empty():
        try:
            case = left.get_nowait()
        except queue.Empty:
            return
        began = time.monotonic()
        wrong = _wrong(lambda case=case: trial.case(lambda: case.kill(trial), case.reset))  # type: ignore[misc]
        told = f"{trial.machine.name}: {case.name}, reset at {case.reset:.2f}: {wrong or 'as a clean run'}"
        print(f"{told} ({time.monotonic() - began:.0f} s, {left.qsize()} left)", flush=True)
        if wrong:
            yield told
            if stuck := _wrong(trial.back):
                yield f"{trial.machine.name} could not be used any more: {stuck}"
                return


def _wrong(do: Callable[[], object]) -> str:
    try:
        do()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def killed(machine: Machine, places: Iterable[str], *command: str) -> str | None:
    """Run a command that is to die at one of them: at which it did, None when it came to its end."""
    wanted = ",".join(f"{place}:kill" for place in places)
    done = machine.run(*SURVIVES, "env", f"KUBEBOOT_FAIL={wanted}", *command, check=False)
    died = [line.removeprefix(TOLD) for line in done.err.splitlines() if line.startswith(TOLD)]
    assert died or done.code == 0, f"{wanted}: {done.code}\n{done.out}\n{done.err}"
    return died[0] if died else None


def killed_after(machine: Machine, seconds: float, *command: str) -> None:
    """Run a command that dies after so long, if it has not ended by then."""
    machine.run(*SURVIVES, "timeout", "-s", "KILL", f"{seconds:.2f}", *command, check=False)


def recorded(machine: Machine, *command: str) -> list[str]:
    """Run it to its end, and tell every place that it passed."""
    machine.run("env", f"KUBEBOOT_FAIL=record:{PLACES}", *command)
    found = machine.run("cat", PLACES).out.split()
    machine.run("rm", PLACES)
    return list(dict.fromkeys(found))


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """What it gave, and how many seconds it took."""
    began = time.monotonic()
    return do(), time.monotonic() - began


def settled(machine: Machine, cp: Machine) -> dict[str, str]:
    """The picture, once nothing in it has changed for a while."""
    before: dict[str, str] = {}
    while (now := picture(machine, cp)) != before:
        before = now
        time.sleep(QUIET)
    return now


def nothing_to_do(machine: Machine, command: Sequence[str]) -> None:
    """As the dry run tells it."""
    done = machine.run(*command, "--dry-run")
    assert "nothing would change" in (done.out + done.err).lower(), done.out + done.err


def one_of_each(places: Iterable[str], seed: int) -> list[str]:
    """One place of every step, drawn at random: the same by the same seed, whatever their order was."""
    steps: dict[str, list[str]] = {}
    for place in sorted(places):
        steps.setdefault(place.rpartition(":")[0], []).append(place)
    draw = random.Random(seed)  # noqa: S311
    return [draw.choice(found) for found in steps.values()]
