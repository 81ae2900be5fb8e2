"""Machines of the lab for tests: brought up by the lab's own code, driven through the project's own SSH host."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOP = Path(__file__).parents[2]
LAB = TOP / "vagrant" / "lab"
SNAPSHOT = Path(__file__).with_name("snapshot.sh").read_text()


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command on a machine ended."""

    code: int
    out: str
    err: str


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine of the lab."""

    lab: str
    name: str
    address: str
    role: str

    def run(self, *argv: str, check: bool = True, stdin: bytes | None = None) -> Done:
        """Run a command as root; a failure that was not expected shows what it said."""
        command = (str(LAB), "ssh", "--name", self.lab, self.name, "--", "sudo", *argv)
        done = subprocess.run(command, input=stdin or b"", capture_output=True, check=False)
        found = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not check or found.code == 0, (
            f"{self.name}: {' '.join(argv)}: {found.code}\n{found.out}\n{found.err}"
        )
        return found


@dataclasses.dataclass(frozen=True)
class Lab:
    """Machines side by side."""

    name: str
    machines: tuple[Machine, ...]

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    @classmethod
    @contextmanager
    def up(cls, control_planes: int, workers: int) -> Iterator[Lab]:
        """Boot machines; logs are collected when the test fails, and they are removed in any case."""
        import json

        name = f"test-{os.getpid()}"
        counts = ("--control-planes", str(control_planes), "--workers", str(workers))
        subprocess.run((str(LAB), "up", *counts, "--name", name), check=True)
        try:
            listed = subprocess.run((str(LAB), "hosts", "--name", name), check=True, capture_output=True)
            machines = tuple(
                Machine(name, m["name"], m["address"], m["role"]) for m in json.loads(listed.stdout)
            )
            yield cls(name, machines)
        finally:
            if os.environ.get("KUBEBOOT_TEST_LOGS"):
                subprocess.run((str(LAB), "logs", "--name", name), check=False, stdout=sys.stderr)
            subprocess.run((str(LAB), "down", "--name", name), check=True)


def snapshot(machine: Machine) -> dict[str, str]:
    """What the machine is: files, mounts, links, units, processes …, by section."""
    text = machine.run("sh", "-s", stdin=SNAPSHOT.encode()).out
    sections = (part.partition("\n") for part in text.split("=== ")[1:])
    return {name: _without_logs(body) for name, _, body in sections}


def _without_logs(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if "/var/log/kubeboot" not in line)
