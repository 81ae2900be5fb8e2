"""kill -9, power loss as far as a process sees it: the same command again makes a working cluster.

A first, clean run records every place at which kubeboot can be made to die (engine/failpoints.py). Of a tenth
of its steps one place each is drawn at random; the runs die at whichever of them they come to first, each
the rerun of the one before; the last is not killed and must end in a cluster whose DNS answers.

With --chaos every step of init, join (as a worker, as a control plane) and reset is killed, in chains of some
places. KUBEBOOT_SEED repeats a draw, KUBEBOOT_SLICE=2/5 runs the second fifth of the chains.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from kubeboot.engine.failpoints import TOLD
from tests.e2e.harness import Lab, Machine, difference, members, snapshot

pytestmark = pytest.mark.cluster
TOKEN = "abcdef.0123456789canary"
PLACES = "/tmp/kubeboot-places"
SURVIVES = ("sh", "-c", '"$@"; exit $?', "sh")
"""sudo dies of the signal that its command dies of, and sshd then tells no exit code: a shell does not."""
Tally = Callable[[int, int], None]
TENTH = 10
LENGTH = 5
"""Kills in a chain: each has a rerun that is killed in its turn, the last one's goes to the end."""
RANDOM_KILLS = 30
MISSED = 0.1
"""Of the places, those that a rerun may not pass: a step that was cut short has less left to change."""
ADMIN = "/etc/kubernetes/admin.conf"
FIND = """
cd / && for file in /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /var/lib/kubelet/pki/*.pem; do
  sed -n '/PRIVATE KEY/,$p' "$file" | sed -n 2p
done >/root/canaries && echo "$1" >>/root/canaries
kubectl --kubeconfig /etc/kubernetes/admin.conf get configmaps -A -o yaml >/root/configmaps
grep -rlaF -f /root/canaries /var/lib/kubeboot /var/log/kubeboot /tmp /root/configmaps
wc -l </root/canaries
rm -f /root/canaries /root/configmaps
"""
"""Where a line of a private key, or the token's secret, has got to; the last line counts the canaries."""
SHOWN = """
kubeboot init --token "$1" >/dev/null 2>/root/said & pid=$!
sleep 1
while kill -0 $pid 2>/dev/null; do tr '\\0' ' ' </proc/$pid/cmdline; echo; sleep 0.2; done 2>/dev/null
wait $pid; code=$?; [ $code = 0 ] || cat /root/said; rm -f /root/said; exit $code
"""
"""Run init with a token on its command line, and print what the process list shows of it."""


@pytest.fixture(scope="module")
def seed() -> int:
    found = int(os.environ.get("KUBEBOOT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"KUBEBOOT_SEED={found}")
    return found


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    more = 1 if request.config.getoption("--chaos") else 0
    with Lab.up(1 + more, more, lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    return lab["cp-1"]


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, dict[str, str]]:
    return {machine.name: snapshot(machine) for machine in lab.machines}


def killed(machine: Machine, places: Iterable[str], *command: str) -> str | None:
    """Run a command that is to die at one of them: at which it did, None when it came to its end."""
    wanted = ",".join(f"{place}:kill" for place in places)
    done = machine.run(*SURVIVES, "env", f"KUBEBOOT_FAIL={wanted}", *command, check=False)
    died = [line.removeprefix(TOLD) for line in done.err.splitlines() if line.startswith(TOLD)]
    assert died or done.code == 0, f"{wanted}: {done.code}\n{done.out}\n{done.err}"
    return died[0] if died else None


def recorded(machine: Machine, *command: str) -> list[str]:
    """Run it to its end, and tell every place that it passed."""
    machine.run("env", f"KUBEBOOT_FAIL=record:{PLACES}", *command)
    found = machine.run("cat", PLACES).out.split()
    machine.run("rm", PLACES)
    return list(dict.fromkeys(found))


def finished(machine: Machine, *command: str) -> None:
    """One rerun brings it to its end; another one finds nothing to do."""
    machine.run(*command)
    again = machine.run(*command)
    assert "nothing" in (again.out + again.err).lower(), again.err


def gone(machine: Machine, before: dict[str, dict[str, str]]) -> None:
    machine.run("kubeboot", "reset", "--yes")
    assert difference(before[machine.name], snapshot(machine)) == []


def chain(machine: Machine, places: Iterable[str], *command: str) -> list[str]:
    """Kill at one place after the other, each run the rerun of the last; those that no run passed."""
    left = list(places)
    while left and (died := killed(machine, left, *command)):
        left.remove(died)
    return left


def one_of_each(places: Iterable[str], seed: int) -> list[str]:
    """One place of every step, drawn at random."""
    steps: dict[str, list[str]] = {}
    for place in places:
        steps.setdefault(place.rpartition(":")[0], []).append(place)
    draw = random.Random(seed)  # noqa: S311
    return [draw.choice(found) for found in steps.values()]


def chains(places: Sequence[str]) -> list[Sequence[str]]:
    """A few places each, far from each other in time; of them those that KUBEBOOT_SLICE asks for."""
    number = -(-len(places) // LENGTH)
    mine, of = map(int, os.environ.get("KUBEBOOT_SLICE", "1/1").split("/"))
    return [places[first::number] for first in range(number)][mine - 1 :: of]


def everywhere(
    machine: Machine,
    places: list[str],
    seed: int,
    command: list[str],
    back: Callable[[], None],
    tally: Tally,
) -> None:
    """Every step killed; after each chain the command is brought to its end, and `back` makes room again."""
    made = chains(one_of_each(places, seed))
    missed = []
    for number, drawn in enumerate(made, 1):
        missed += chain(machine, drawn, *command)
        finished(machine, *command)
        back()
        print(f"{number} of {len(made)} chains, {len(missed)} places missed: {', '.join(missed)}", flush=True)
    of = sum(map(len, made))
    tally(of - len(missed), of)
    assert len(missed) <= MISSED * of


def test_a_tenth_of_init_s_steps(cp: Machine, before: dict[str, dict[str, str]], seed: int) -> None:
    places = recorded(cp, "kubeboot", "init")
    gone(cp, before)
    each = one_of_each(places, seed)
    drawn = random.Random(seed).sample(each, len(each) // TENTH)  # noqa: S311
    began = time.monotonic()
    missed = chain(cp, drawn, "kubeboot", "init")
    finished(cp, "kubeboot", "init")
    gone(cp, before)
    killed = f"{len(drawn) - len(missed)} of {len(drawn)} killed"
    print(f"{killed}, {len(places)} places, {time.monotonic() - began:.0f} s; missed: {missed}")
    assert len(missed) <= 1


def test_no_secret_is_shown_or_left_behind(cp: Machine, before: dict[str, dict[str, str]]) -> None:
    shown = cp.run("sh", "-c", SHOWN, "sh", TOKEN).out
    assert "kubeboot" in shown
    assert TOKEN.partition(".")[2] not in shown
    *leaks, count = cp.run("sh", "-c", FIND, "sh", TOKEN.partition(".")[2]).out.split()
    assert leaks == []
    assert int(count) > 10
    gone(cp, before)


@pytest.mark.chaos
def test_every_step_of_init(cp: Machine, before: dict[str, dict[str, str]], seed: int, tally: Tally) -> None:
    command = ["kubeboot", "init"]
    places = recorded(cp, *command)
    gone(cp, before)
    everywhere(cp, places, seed, command, lambda: gone(cp, before), tally)


@pytest.mark.chaos
def test_kills_at_random_times(
    cp: Machine, before: dict[str, dict[str, str]], seed: int, tally: Tally
) -> None:
    draw = random.Random(seed)  # noqa: S311
    for after in chains([f"{draw.uniform(0.2, 20):.2f}" for _ in range(RANDOM_KILLS)]):
        for seconds in after:
            cp.run(*SURVIVES, "timeout", "-s", "KILL", seconds, "kubeboot", "init", check=False)
            finished(cp, "kubeboot", "init")
            gone(cp, before)
            print(f"killed after {seconds} s", flush=True)
    tally(RANDOM_KILLS, RANDOM_KILLS)


@pytest.mark.chaos
def test_every_step_of_join(
    lab: Lab, cp: Machine, before: dict[str, dict[str, str]], seed: int, tally: Tally
) -> None:
    worker = lab["worker-1"]

    def back() -> None:
        gone(worker, before)
        cp.run("kubectl", "--kubeconfig", ADMIN, "delete", "node", worker.name, "--ignore-not-found")

    cp.run("kubeboot", "init")
    command = cp.run("kubeboot", "token", "create", "--print-join-command").out.split()
    places = recorded(worker, *command)
    back()
    everywhere(worker, places, seed, command, back, tally)
    gone(cp, before)


@pytest.mark.chaos
def test_every_step_of_a_control_plane_s_join(
    lab: Lab, cp: Machine, before: dict[str, dict[str, str]], seed: int, tally: Tally
) -> None:
    further = lab["cp-2"]
    command = cp.run("kubeboot", "init", "--upload-certs").out.splitlines()[1].split()
    places = recorded(further, *command)
    gone(further, before)
    everywhere(further, places, seed, command, lambda: alone_again(cp, further, before), tally)
    gone(cp, before)


def alone_again(cp: Machine, further: Machine, before: dict[str, dict[str, str]]) -> None:
    """Two vote; after a reset of the further one, one does."""
    assert members(cp) == {"cp-1": True, "cp-2": True}
    gone(further, before)
    assert members(cp) == {"cp-1": True}


@pytest.mark.chaos
def test_every_step_of_reset(cp: Machine, before: dict[str, dict[str, str]], seed: int, tally: Tally) -> None:
    command = ["kubeboot", "reset", "--yes"]
    cp.run("kubeboot", "init")
    places = one_of_each(recorded(cp, *command), seed)
    cp.run("kubeboot", "init")
    missed = chain(cp, places, *command)
    cp.run(*command)
    assert difference(before[cp.name], snapshot(cp)) == []
    tally(len(places) - len(missed), len(places))
    assert len(missed) <= MISSED * len(places)
