"""The same bytes by scp and by kubeboot in turns, each with a login of its own; the last line is JSON.

kubeboot does more: its bytes have a sum, and the file is on the machine's disk when it counts as sent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd

BAR = 0.8
CHUNK = 1 << 20


def main(argv: list[str]) -> int:
    """0 when kubeboot reaches the bar."""
    parser = argparse.ArgumentParser(prog="tests/bench/push", description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="kubeboot-push-") as room:
        speeds = _measure(Path(room), given.rounds, given.size << 20)
    result: dict[str, object] = {name: round(statistics.median(each)) for name, each in speeds.items()}
    ratio = statistics.median(speeds["kubeboot"]) / statistics.median(speeds["scp"])
    print(json.dumps({**result, "unit": "MB/s", "ratio": round(ratio, 2), "bar": BAR}))
    return 0 if ratio >= BAR else 1


def _measure(room: Path, rounds: int, size: int) -> dict[str, list[float]]:
    """MB/s of each round; the first one, which warms everything, does not count."""
    source = room / "source"
    source.write_bytes(os.urandom(size))
    sum = hashlib.sha256(source.read_bytes()).hexdigest()
    speeds: dict[str, list[float]] = {"scp": [], "kubeboot": []}
    with servers.running(room / "sshd", more="Subsystem sftp internal-sftp") as sshd:
        (sshd.folder / "config").write_text(sshd.ssh_config)
        ways: dict[str, Callable[[Path], None]] = {
            "scp": lambda to: _scp(sshd, source, to),
            "kubeboot": lambda to: _push(sshd, source, sum, to),
        }
        for number in range(rounds + 1):
            for name, way in ways.items():
                speed = size / 1e6 / _seconds(way, room / "target")
                print(f"{name:<10} {speed:7.1f} MB/s{'' if number else '   not counted'}", flush=True)
                speeds[name] += [speed] if number else []
    return speeds


def _seconds(way: Callable[[Path], None], target: Path) -> float:
    target.unlink(missing_ok=True)
    os.sync()
    began = time.monotonic()
    way(target)
    return time.monotonic() - began


def _scp(sshd: Sshd, source: Path, to: Path) -> None:
    argv = ("scp", "-q", "-F", str(sshd.folder / "config"), str(source), f"{sshd.name}:{to}")
    subprocess.run(argv, check=True)


def _push(sshd: Sshd, source: Path, sum: str, to: Path) -> None:
    host = SshHost(Connection(Login(sshd.name, sshd.ssh_config)))
    host.put(str(to), _chunks(source), sum)
    host.close()


def _chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
