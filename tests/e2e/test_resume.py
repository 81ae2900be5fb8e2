"""kill -9: the same command again makes what a clean run makes.

A clean run records every place at which kubeboot can be made to die (engine/failpoints.py). Of a tenth of the
steps of init and of a join one place each is drawn at random; the runs die at whichever of them they come to
first, each the rerun of the one before; the last is not killed and must leave what the clean run left. A run
that dies may have done another step of the draw already: that one's turn comes once more, on a bare machine.

With --chaos every step of init and of both joins is killed by itself: one kill, one rerun, compared with the
clean run; then the reset of that machine is killed at one of its steps, run again, and compared with the
machine before kubeboot came. Without it the draw is always the same. KUBEBOOT_SEED makes or repeats another,
KUBEBOOT_SLICE=2/5 runs every fifth case from the second on, KUBEBOOT_ONLY=EXPRESSION those whose place it
finds.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from tests.e2e import killing
from tests.e2e.harness import Lab, Machine, members
from tests.e2e.killing import Case, Trial
from tests.e2e.picture import ADMIN

pytestmark = pytest.mark.cluster
TOKEN = "abcdef.0123456789canary"
INIT = ("kubeboot", "init")
Tally = Callable[[int, int], None]
Joining = Callable[[Machine, Machine], Trial]
TENTH = 10
SEED = 606
RANDOM_KILLS = 30
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
def seed(request: pytest.FixtureRequest) -> int:
    drawn = random.SystemRandom().randrange(1, 1 << 32) if request.config.getoption("--chaos") else SEED
    found = int(os.environ.get("KUBEBOOT_SEED", drawn))
    print(f"KUBEBOOT_SEED={found}")
    return found


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """With --chaos two clusters side by side, each with room for a further control plane."""
    counts = (4, 2) if request.config.getoption("--chaos") else (1, 1)
    with Lab.up(*counts, lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    return lab["cp-1"]


def nothing() -> None:
    """What a cluster that went with its machine has to forget of it."""


@pytest.fixture(scope="module")
def first(cp: Machine) -> Trial:
    return Trial.clean(cp, INIT, cp, nothing)


def inits(lab: Lab) -> list[Trial]:
    """Two machines, each a cluster of its own."""
    machines = (lab["cp-1"], lab["cp-2"])
    return killing.side_by_side([partial(Trial.clean, cp, INIT, cp, nothing) for cp in machines])


def worker(cp: Machine, joins: Machine) -> Trial:
    """A worker that joins a cluster of one; it may not delete its own Node."""
    cp.run(*INIT)
    command = cp.run("kubeboot", "token", "create", "--print-join-command").out.split()
    delete = ("kubectl", "--kubeconfig", ADMIN, "delete", "node", joins.name, "--ignore-not-found")
    return Trial.clean(joins, command, cp, lambda: cp.run(*delete))


def further(cp: Machine, joins: Machine) -> Trial:
    """A control plane that joins a cluster of one; once it has gone, the first votes alone again."""
    command = cp.run(*INIT, "--upload-certs").out.splitlines()[1].split()

    def alone() -> None:
        assert members(cp) == {cp.name: True}

    return Trial.clean(joins, command, cp, alone)


def chain(trial: Trial, seed: int) -> None:
    """A tenth of the steps, in as few chains of runs as reach them all."""
    each = killing.one_of_each(trial.places, seed)
    left = random.Random(seed).sample(each, len(each) // TENTH)  # noqa: S311
    number, began = len(left), time.monotonic()
    while left and (died := deaths(trial, left)):
        left = [place for place in left if place not in died]
    print(f"{number - len(left)} of {number} killed, {time.monotonic() - began:.0f} s; missed: {left}")
    assert len(left) <= 1


def deaths(trial: Trial, places: Sequence[str]) -> list[str]:
    """Where runs died on a bare machine, each the rerun of the one before, until one came to its end."""
    left, died = list(places), []
    while left and (place := killing.killed(trial.machine, left, *trial.argv)):
        left.remove(place)
        died.append(place)
    trial.again()
    trial.back()
    return died


def test_a_tenth_of_init_s_steps(first: Trial, seed: int) -> None:
    chain(first, seed)


def test_a_tenth_of_a_join_s_steps(lab: Lab, seed: int) -> None:
    cp = lab["cp-1"]
    chain(worker(cp, lab["worker-1"]), seed)
    cp.run(*killing.RESET)


def test_no_secret_is_shown_or_left_behind(cp: Machine, first: Trial) -> None:
    shown = cp.run("sh", "-c", SHOWN, "sh", TOKEN).out
    assert "kubeboot" in shown
    assert TOKEN.partition(".")[2] not in shown
    *leaks, count = cp.run("sh", "-c", FIND, "sh", TOKEN.partition(".")[2]).out.split()
    assert leaks == []
    assert int(count) > 10
    first.back()


def everywhere(trials: Sequence[Trial], cases: Sequence[Case], tally: Tally) -> None:
    """Every case that is asked for."""
    mine = killing.mine(cases)
    wrong = killing.failures(trials, mine)
    tally(len(mine) - len(wrong), len(mine))
    assert wrong == []


@pytest.mark.chaos
def test_every_step_of_init(lab: Lab, seed: int, tally: Tally) -> None:
    trials = inits(lab)
    everywhere(trials, killing.at_places(trials[0], seed), tally)


@pytest.mark.chaos
def test_kills_at_random_times(lab: Lab, seed: int, tally: Tally) -> None:
    trials = inits(lab)
    everywhere(trials, killing.at_times(trials[0], seed, RANDOM_KILLS), tally)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("joining", "pairs"),
    [(worker, (("cp-1", "worker-1"), ("cp-2", "worker-2"))), (further, (("cp-1", "cp-2"), ("cp-3", "cp-4")))],
)
def test_every_step_of_a_join(
    lab: Lab, seed: int, tally: Tally, joining: Joining, pairs: Sequence[tuple[str, str]]
) -> None:
    trials = killing.side_by_side([partial(joining, lab[cp], lab[joins]) for cp, joins in pairs])
    everywhere(trials, killing.at_places(trials[0], seed), tally)
    for cp, _ in pairs:
        lab[cp].run(*killing.RESET)
