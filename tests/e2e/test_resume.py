"""kill -9, power loss as far as a process sees it: the same command again makes a working cluster.

A first, clean run records every place at which kubeboot can be made to die (engine/failpoints.py). A tenth of
them, drawn at random, is then killed in order, each run being the rerun of the one before it; the last is not
killed and must end in a cluster whose DNS answers. With --chaos every step has a run of its own.
KUBEBOOT_SEED repeats a draw.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator

import pytest

from tests.e2e.harness import Lab, Machine, difference, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.chaos]
"""All behind --chaos until the tenth has been seen to pass, and to take no more than three minutes."""
TOKEN = "abcdef.0123456789canary"
PLACES = "/tmp/kubeboot-places"
CHAINS = 2
RANDOM_KILLS = 30
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
    workers = 1 if request.config.getoption("--chaos") else 0
    with Lab.up(1, workers, lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    return lab["cp-1"]


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, dict[str, str]]:
    return {machine.name: snapshot(machine) for machine in lab.machines}


def killed(machine: Machine, place: str, *command: str) -> bool:
    """Run a command that is to die there; False when it ended without passing the place."""
    done = machine.run("env", f"KUBEBOOT_FAIL={place}:kill", *command, check=False)
    assert done.code == 0 or "error:" not in done.err, f"{place}: {done.code}\n{done.out}\n{done.err}"
    return done.code != 0


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


def chain(machine: Machine, places: Iterable[str], *command: str) -> int:
    """Kill at one place after the other, each run the rerun of the last; how many were killed."""
    count = 0
    for place in places:
        if not killed(machine, place, *command):
            break
        count += 1
    return count


def test_a_random_tenth_of_inits_failpoints(
    cp: Machine, before: dict[str, dict[str, str]], seed: int
) -> None:
    places = recorded(cp, "kubeboot", "init")
    gone(cp, before)
    drawn = sorted(random.Random(seed).sample(places, len(places) // 10), key=places.index)  # noqa: S311
    began, count = time.monotonic(), 0
    for number in range(CHAINS):
        count += chain(cp, drawn[number::CHAINS], "kubeboot", "init")
        finished(cp, "kubeboot", "init")
        gone(cp, before)
    print(f"{count} of {len(drawn)} killed, {len(places)} places, {time.monotonic() - began:.0f} s")
    assert count >= len(drawn) // 2


def test_no_secret_is_shown_or_left_behind(cp: Machine, before: dict[str, dict[str, str]]) -> None:
    shown = cp.run("sh", "-c", SHOWN, "sh", TOKEN).out
    assert "kubeboot" in shown
    assert TOKEN.partition(".")[2] not in shown
    *leaks, count = cp.run("sh", "-c", FIND, "sh", TOKEN.partition(".")[2]).out.split()
    assert leaks == []
    assert int(count) > 10
    gone(cp, before)


def test_every_step_of_init(cp: Machine, before: dict[str, dict[str, str]], seed: int) -> None:
    places = recorded(cp, "kubeboot", "init")
    gone(cp, before)
    for place in one_of_each(places, seed):
        assert killed(cp, place, "kubeboot", "init"), place
        finished(cp, "kubeboot", "init")
        gone(cp, before)


def test_kills_at_random_times(cp: Machine, before: dict[str, dict[str, str]], seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    for _ in range(RANDOM_KILLS):
        after = f"{draw.uniform(0.2, 20):.2f}"
        print(f"kill -9 after {after} s")
        cp.run("timeout", "-s", "KILL", after, "kubeboot", "init", check=False)
        finished(cp, "kubeboot", "init")
        gone(cp, before)


def test_every_step_of_join(lab: Lab, cp: Machine, before: dict[str, dict[str, str]], seed: int) -> None:
    worker = lab["worker-1"]
    cp.run("kubeboot", "init")
    command = cp.run("kubeboot", "token", "create", "--print-join-command").out.split()
    places = recorded(worker, *command)
    gone(worker, before)
    for place in one_of_each(places, seed):
        cp.run("kubectl", "--kubeconfig", ADMIN, "delete", "node", "worker-1", "--ignore-not-found")
        assert killed(worker, place, *command), place
        finished(worker, *command)
        gone(worker, before)
    gone(cp, before)


def one_of_each(places: Iterable[str], seed: int) -> list[str]:
    """One place of every step, drawn at random."""
    steps: dict[str, list[str]] = {}
    for place in places:
        steps.setdefault(place.rpartition(":")[0], []).append(place)
    draw = random.Random(seed)  # noqa: S311
    return [draw.choice(found) for found in steps.values()]
