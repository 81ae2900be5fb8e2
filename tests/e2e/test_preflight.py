"""Host faults on a real machine, one at a time: each is found, a clean one has none, nothing is changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Lab, Machine, difference, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.long]

TRUE_HERE = {"CgroupV1", "EtcdDisk", "Resolver"}
"""What is so on machines that are containers here: the kernel's control groups, a disk that others use, and
Docker's resolver."""
HELP = """
NAME=$(cat /etc/hostname)
file() { mkdir -p "${1%/*}" && echo "${2:-}" >"$1"; }
unit() { systemd-run --quiet --unit "$1" sleep 600 && echo "$1" >/run/seed; }
unseed() { systemctl stop "$(cat /run/seed)"; }
started() { # a unit that is there, without what it does
    there=/run/systemd/system/$1.service.d
    mkdir -p "$there"
    printf '[Service]\\nExecStart=\\nExecStart=true\\nExecStop=\\n' >"$there/seed.conf"
    systemctl daemon-reload && systemctl start "$1"
}
stopped() {
    systemctl stop "$1" && rm -r "/run/systemd/system/$1.service.d" && systemctl daemon-reload
}
port() {
    setsid python3 -c 'import socket, sys, time
kind = socket.SOCK_DGRAM if sys.argv[2:] else socket.SOCK_STREAM
held = socket.socket(socket.AF_INET, kind)
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("0.0.0.0", int(sys.argv[1])))
sys.argv[2:] or held.listen()
open("/run/held", "w").close()
time.sleep(600)' "$@" >/dev/null 2>&1 &
    echo $! >/run/seed
    until [ -e /run/held ]; do sleep 0.05; done
    rm /run/held
}
"""


def faults() -> list[list[str]]:
    """Finding, seed, what takes it back, more arguments."""
    lines = Path(__file__).with_name("seeded_faults.txt").read_text().splitlines()
    return [[part.strip() for part in line.split("|")] for line in lines if not line.startswith("#")]


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with Lab.up(control_planes=1, workers=0, failed=lambda: request.session.testsfailed > 0) as made:
        yield made["cp-1"]


def found(machine: Machine, *more: str) -> set[str]:
    told = machine.run("kubeboot", "preflight", "-o", "json", *more, check=False)
    said = json.loads(told.out)
    assert "findings" in said, f"{said}\n{told.err}"
    return {finding["name"] for finding in said["findings"]}


def test_a_clean_machine_has_no_finding_and_is_not_changed(machine: Machine) -> None:
    before = snapshot(machine)
    began = time.monotonic()
    assert found(machine) <= TRUE_HERE
    assert time.monotonic() - began < 3
    assert difference(before, snapshot(machine)) == []


def test_sixty_faults_are_found(machine: Machine) -> None:
    seeded = faults()
    assert len({name for name, *_ in seeded}) == len(seeded) >= 60
    missed = []
    for name, seed, back, more in seeded:
        machine.run("sh", "-c", HELP + seed)
        if name not in found(machine, *more.split()):
            missed.append(name)
        machine.run("sh", "-c", HELP + back)
    assert missed == []
    assert found(machine) <= TRUE_HERE, "every fault was taken back"
