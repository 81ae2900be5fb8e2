"""Twelve kinds of trouble on the way to a machine, each with real steps over a real sshd.

Every run either converges or stops with one clear error, in time; whatever it left, the next run finishes.
`tests/run --chaos` does 25 runs of each, with other sizes and moments.
"""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts.api import Binary
from kubeboot.engine.events import Event, HostStage
from kubeboot.engine.plan import Plan
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.work import Shift
from kubeboot.host.facts import Facts
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from kubeboot.inventory.model import Machine
from kubeboot.kube.api import NoApi
from tests.fakes.proxy import Fault
from tests.fakes.sshd import Sshd
from tests.sim.ssh_trouble import DEADLINES, SUDO, Scene, a_plan

RUNS = 25
LIMIT = 120.0
"""Seconds for a run, however it ends: the sum of all deadlines that it can meet one after the other."""
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the steps give files to root")


@dataclasses.dataclass(frozen=True)
class Ending:
    """A source whose machine ends for good when it is used."""

    sshd: Sshd

    def binary(self, wanted: Binary) -> Iterator[bytes]:
        self.sshd.stop()
        yield b""


def breaking(scene: Scene, what: str) -> None:
    """Some connections break, each at a byte of its own; one that comes after them does not."""
    sshd = scene.sshd()
    faults = [Fault(what, scene.chance.randint(200, 40_000)) for _ in range(scene.chance.randint(1, 2))]  # type: ignore[arg-type]
    proxy = scene.proxy(sshd, *faults)
    scene.converges(scene.host(sshd, proxy))
    assert proxy.connections > len(faults)


def drop(scene: Scene) -> None:
    breaking(scene, "cut")


def reset(scene: Scene) -> None:
    breaking(scene, "reset")


def stall(scene: Scene) -> None:
    sshd = scene.sshd()
    proxy = scene.proxy(sshd, Fault("stall", scene.chance.randint(200, 40_000)))
    scene.converges(scene.host(sshd, proxy))
    assert proxy.connections > 1


def banner_delay(scene: Scene) -> None:
    """Two servers that need their time, one of them more than it is given."""
    sshd = scene.sshd()
    proxy = scene.proxy(sshd, delays=[DEADLINES.banner + 0.5, scene.chance.uniform(0.1, 1.0)])
    scene.converges(scene.host(sshd, proxy))
    assert proxy.connections >= 2


def one_session(scene: Scene) -> None:
    """The lock holds the only session that a connection may have."""
    host = scene.host(scene.sshd("MaxSessions 1"))
    with host.lock(f"{scene.folder}/lock", "us"):
        scene.converges(host)


def one_login(scene: Scene) -> None:
    """Several machines behind one sshd that admits one login at a time."""
    gate = scene.sshd("MaxStartups 1", name="gate")
    machine = scene.sshd()
    config = f"{machine.ssh_config}  ProxyJump gate\n{gate.ssh_config}"
    hosts = [SshHost(Connection(Login(machine.name, config, deadlines=DEADLINES))) for _ in range(4)]
    for host in hosts:
        scene.stack.callback(host.close)
    with ThreadPoolExecutor(len(hosts)) as pool:
        assert all(pool.map(lambda host: host.read("/etc/hostname"), hosts))
    scene.converges(hosts[0])


def sudo_prompt(scene: Scene) -> None:
    folder = scene.folder / "bin"
    folder.mkdir()
    (folder / "sudo").write_text(f"#!/bin/sh\n{SUDO}")
    (folder / "sudo").chmod(0o755)
    sshd = scene.sshd(environment=f"PATH={folder}:/usr/bin:/bin")
    wanted = scene.wanted()
    for password in (None, scene.chance.choice(["falsch", "geheim", " "])):
        host = _as_user(scene.host(sshd, sudo_password=password))
        with pytest.raises(errors.Unreachable) as raised:
            scene.work(host, wanted)
        assert (raised.value.reason, bool(raised.value.hint)) == ("KB_SUDO", True)
    assert (sshd.folder / "words").read_text().count("\n") == 1, "a wrong password is tried once"
    scene.converges(_as_user(scene.host(sshd, sudo_password="geheim es")))


def _as_user(host: SshHost) -> SshHost:
    """The tests' user is root, and the machine's sudo is a stand-in."""
    host.connection._starter._sudo = True
    return host


def swapped_key(scene: Scene) -> None:
    """Another machine takes the address over, before the first connection or between two."""
    sshd, other = scene.sshd(), scene.sshd(name="other")
    (other.folder / "authorized_keys").write_text((sshd.folder / "client_key.pub").read_text())
    proxy = scene.proxy(sshd, Fault("cut", scene.chance.randint(4_000, 40_000)))
    host, wanted = scene.host(sshd, proxy), scene.wanted()
    if scene.chance.random() < 0.5:
        proxy.target = other.port
    else:
        host.read("/etc/hostname")
        proxy.target = other.port
    try:
        scene.work(host, wanted).raise_for_failure()
    except errors.Unreachable as error:
        assert error.reason == "KB_HOST_KEY"
    else:
        pytest.fail("it went on")
    scene.stopped(wanted)
    assert "Accepted" not in (other.folder / "log").read_text()


def slow(scene: Scene) -> None:
    scene.size, scene.small = 10_000, 10
    sshd = scene.sshd()
    scene.converges(scene.host(sshd, scene.proxy(sshd, rate=10_000.0)))


def truncated_upload(scene: Scene) -> None:
    """It goes on where it was cut: little more than its bytes has passed in the end.

    Nothing stalls here, and who waits for long takes no busy machine for one that does.
    """
    scene.size = 5 << 20
    patient = dataclasses.replace(DEADLINES, idle=20.0, answer=20.0)
    sshd = scene.sshd()
    faults = [Fault("cut", scene.chance.randint(1 << 20, 2 << 20)) for _ in range(2)]
    proxy = scene.proxy(sshd, *faults)
    scene.converges(scene.host(sshd, proxy, deadlines=patient))
    assert proxy.connections == 3
    assert proxy.passed < scene.size * 1.8


def reboot(scene: Scene) -> None:
    """Everything on the machine ends in the middle of it, and nobody listens for a while."""
    scene.size = 2 << 20
    sshd = scene.sshd()
    proxy = scene.proxy(sshd)

    def restart() -> None:
        _until(lambda: proxy.passed > moment)
        proxy.down()
        sshd.drop()
        time.sleep(away)
        proxy.up()

    moment, away = scene.chance.randint(5_000, 1 << 20), scene.chance.uniform(0.2, 1.5)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(restart)
        scene.converges(scene.host(sshd, proxy))
        done.result()


def full_disk(scene: Scene) -> None:
    disk = scene.home / "disk"
    disk.mkdir()
    room = scene.chance.randint(16, 60) * 4096
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "none", disk], check=True)
    scene.stack.callback(lambda: subprocess.run(["umount", "-l", disk], check=True))
    scene.size = max(scene.size, room + 1)
    host, wanted = scene.host(scene.sshd()), scene.wanted("/disk")
    scene.ends(host, wanted, "KB_COMMAND")
    subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
    scene.work(host, wanted).raise_for_failure()
    scene.finished(wanted)


KINDS: dict[str, Callable[[Scene], None]] = {
    "drop at byte N": drop,
    "stall": stall,
    "RST": reset,
    "banner delay": banner_delay,
    "MaxSessions=1": one_session,
    "MaxStartups=1": one_login,
    "sudo prompt": sudo_prompt,
    "host key swapped": swapped_key,
    "10 kB/s": slow,
    "truncated upload": truncated_upload,
    "reboot in a step": reboot,
    "full disk": full_disk,
}


def _cases() -> Iterator[object]:
    for kind in KINDS:
        yield pytest.param(kind, 0, id=kind)
        for number in range(1, RUNS):
            yield pytest.param(kind, number, id=f"{kind} {number}", marks=pytest.mark.chaos)


@pytest.mark.parametrize(("kind", "number"), tuple(_cases()))
def test_trouble(
    kind: str,
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tally: Callable[[int, int], None],
) -> None:
    chance = random.Random(f"{kind} {number}")  # noqa: S311 - trouble that can be repeated
    scene = Scene(tmp_path, chance, monkeypatch)
    before, began = set(threading.enumerate()), time.monotonic()
    with scene.stack:
        KINDS[kind](scene)
    assert time.monotonic() - began < LIMIT
    _until(lambda: not _left(before))
    tally(1, 1)


def test_a_machine_that_does_not_return_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its connection, which the run then believes: both waited for two minutes, one after the other."""
    scene = Scene(tmp_path, random.Random("gone"), monkeypatch)  # noqa: S311 - no secret
    absence = 4.0
    with scene.stack:
        sshd = scene.sshd()
        host = scene.host(sshd, deadlines=dataclasses.replace(DEADLINES, connect=1.0, absence=absence))
        link, tool = a_plan({f"{scene.home}/bin/tool": b"x" * scene.size}).steps
        plan = Plan("up", "", (dataclasses.replace(tool, source=Ending(sshd)), link), {"machine": "worker"})  # type: ignore[arg-type]
        who = Reached(Machine("machine", frozenset({"worker"})), host, Facts("machine"))
        told: list[Event] = []
        began = time.monotonic()
        end = Shift(told.append, threading.Event()).work(Task(who, "machine", plan, NoApi()), "changing")
        took = time.monotonic() - began
    assert end.state in ("failed", "unreachable") and end.reason == "KB_UNREACHABLE", end
    assert HostStage("machine", "reconnecting") in told
    assert took < 2 * absence


def _left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of ours that have not ended; the stand-ins' are daemons named by number."""
    return [t for t in threading.enumerate() if t not in before and not t.name.startswith("Thread-")]


def _until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
