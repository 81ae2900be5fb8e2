"""Machines of the lab for tests: booted by the lab's own code, driven through the project's own SSH host."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lablib import machine_state, machine_vagrant

from kubeboot.host.ssh.host import SshHost

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
    """A machine of the lab, and the connection to it."""

    name: str
    address: str
    role: str
    host: SshHost

    def run(self, *argv: str, check: bool = True, stdin: bytes | None = None) -> Done:
        """Run a command as root; a failure that was not expected shows what it said."""
        out, err = io.BytesIO(), io.BytesIO()
        with tempfile.TemporaryFile() as given:
            given.write(stdin or b"")
            given.seek(0)
            code = self.host.run(("sudo", *argv), given, out, err)
        done = Done(code, out.getvalue().decode(), err.getvalue().decode())
        assert not check or code == 0, f"{self.name}: {' '.join(argv)}: {code}\n{done.out}\n{done.err}"
        return done


@dataclasses.dataclass(frozen=True)
class Lab:
    """Machines side by side."""

    name: str
    machines: tuple[Machine, ...]

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    @classmethod
    @contextmanager
    def up(
        cls,
        control_planes: int,
        workers: int,
        failed: Callable[[], bool],
        provider: str = "docker",
        balancers: int = 0,
        etcd: int = 0,
    ) -> Iterator[Lab]:
        """Boot machines, and remove them in any case; their logs are kept when a test has failed."""
        name = f"test-{os.getpid()}"
        counts = ("--control-planes", str(control_planes), "--workers", str(workers))
        counts += ("--lb", str(balancers), "--etcd", str(etcd))
        subprocess.run((str(LAB), "up", *counts, "--name", name, "--provider", provider), check=True)
        made = cls(name, _machines(name))
        try:
            yield made
        finally:
            if failed():
                subprocess.run(
                    (str(LAB), "logs", "--name", name, _logs(name)), check=False, stdout=sys.stderr
                )
            for machine in made.machines:
                machine.host.close()
            subprocess.run((str(LAB), "down", "--name", name), check=True)


@contextmanager
def repeatedly(do: Callable[[], object], every: float) -> Iterator[None]:
    """Done again and again within the block, beside it; `every`: seconds between two times."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(every):
            do()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ill(machine: Machine) -> list[str]:
    """What doctor would mend; how full the disk is, is this computer's affair."""
    found = machine.run("kubeboot", "doctor", check=False).out.splitlines()
    return [
        line for line in found if "[ERROR" in line or "[WARNING DropIn" in line if "[ERROR Disk" not in line
    ]


def members(machine: Machine) -> dict[str, bool]:
    """Name and whether it votes, as etcd itself says."""
    pki = "/etc/kubernetes/pki/etcd"
    identity = ("--cert", f"{pki}/healthcheck-client.crt", "--key", f"{pki}/healthcheck-client.key")
    url = "https://127.0.0.1:2379/v3/cluster/member/list"
    done = machine.run("curl", "-sS", "--cacert", f"{pki}/ca.crt", *identity, "-d", "{}", url)
    return {m.get("name", ""): not m.get("isLearner", False) for m in json.loads(done.out)["members"]}


def _machines(name: str) -> tuple[Machine, ...]:
    lab = machine_state.load(name)
    assert lab is not None
    return tuple(
        Machine(m.name, m.address, m.role, machine_vagrant.connect(lab, m.name)) for m in lab.machines
    )


def _logs(name: str) -> str:
    """Outside the checkout, which stays clean."""
    return str(Path(os.environ.get("KUBEBOOT_TEST_LOGS", "/tmp")) / f"kubeboot-{name}-logs")


def snapshot(machine: Machine) -> dict[str, str]:
    """What the machine is: files, mounts, links, units, processes …, by section."""
    found = sections(machine.run("sh", "-s", stdin=SNAPSHOT.encode()).out)
    return {name: _without_logs(body) for name, body in found.items()}


def sections(text: str) -> dict[str, str]:
    """What follows each `=== NAME` line, by the name."""
    parts = (part.partition("\n") for part in text.split("=== ")[1:])
    return {name.split()[0]: body for name, _, body in parts}


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Every line that came or went, with its section."""
    found = []
    for section in sorted(before.keys() | after.keys()):
        first, second = (side.get(section, "").splitlines() for side in (before, after))
        for mark, here, there in (("-", first, set(second)), ("+", second, set(first))):
            found += [f"{mark} {section}: {line}" for line in here if line not in there]
    return found


def _without_logs(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if "/var/log/kubeboot" not in line)
