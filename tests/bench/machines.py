"""Fresh machines of the lab for one sample, and the same preparation for whoever runs on them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOP = Path(__file__).parents[2]
LAB = TOP / "vagrant" / "lab"
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeboot-lab"


def workstation(**more: str) -> dict[str, str]:
    """What a person's command runs with: what Python has compiled is kept, as it is on the machines."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(TOP), **more}


class Failed(Exception):
    """A command on a machine ended badly; the words are its own."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that is a container: commands go through docker, files are read past it, at no cost to it."""

    name: str
    container: str
    address: str
    root: Path

    def argv(self, *argv: str) -> tuple[str, ...]:
        return ("docker", "exec", "-i", self.container, *argv)

    def run(self, *argv: str, stdin: bytes = b"", check: bool = True) -> str:
        done = subprocess.run(self.argv(*argv), input=stdin, capture_output=True, check=False)
        if check and done.returncode:
            tail = (done.stdout[-3000:] + done.stderr[-3000:]).decode(errors="replace")
            raise Failed(f"{self.name}: {' '.join(argv)[:200]}: exit code {done.returncode}\n{tail}")
        return done.stdout.decode(errors="replace")

    def lines(self, *argv: str) -> Iterator[str]:
        """A command's lines, each as it comes."""
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(
                self.argv(*argv), stdout=subprocess.PIPE, stderr=said, text=True
            ) as process:
                assert process.stdout is not None
                yield from process.stdout
            if process.returncode:
                said.seek(0)
                tail = said.read()[-3000:].decode(errors="replace")
                raise Failed(f"{self.name}: {' '.join(argv)}: exit code {process.returncode}\n{tail}")

    def timed(self, *argv: str, stdin: bytes = b"") -> tuple[float, str]:
        began = time.monotonic()
        out = self.run(*argv, stdin=stdin)
        return time.monotonic() - began, out

    def read(self, path: str) -> bytes | None:
        try:
            return (self.root / path.lstrip("/")).read_bytes()
        except OSError:
            return None

    def write(self, path: str, data: bytes, mode: str = "0644") -> None:
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path}", stdin=data)


@contextmanager
def booted(workers: int, purpose: str, control_planes: int = 1) -> Iterator[dict[str, Machine]]:
    """Control planes and some workers, gone afterwards."""
    name = f"bench-{purpose}-{os.getpid()}"
    counts = ("--control-planes", str(control_planes), "--workers", str(workers))
    try:
        _lab("up", *counts, "--name", name)
        yield of(name)
    finally:
        _lab("down", "--name", name)


def of(name: str) -> dict[str, Machine]:
    """The machines of a lab."""
    return {m.name: m for m in _machines(name)}


def as_it_runs(machine: Machine) -> Machine:
    """The machine; one that was booted again has another root."""
    return dataclasses.replace(machine, root=_process(machine.container) / "root")


def _lab(*argv: str) -> str:
    done = subprocess.run((str(LAB), *argv), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"lab {' '.join(argv)}:\n{done.stderr[-3000:]}")
    return done.stdout


def _machines(name: str) -> Iterator[Machine]:
    import json

    for entry in json.loads(_lab("hosts", "--name", name)):
        container = f"kubeboot-{name}-{entry['name']}"
        yield Machine(entry["name"], container, entry["address"], _process(container) / "root")


def _process(container: str) -> Path:
    """The machine's first one, as this computer sees it."""
    asked = ("docker", "inspect", "--format", "{{.State.Pid}}", container)
    pid = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return Path("/proc", pid)


def network(machine: Machine) -> Path:
    """Its network namespace: what runs in there costs it nothing else."""
    return _process(machine.container) / "ns/net"


def prepare(machine: Machine) -> None:
    """Artifacts, kernel, containerd and images: the same for every peer, by kubeboot's own steps."""
    machine.run("python3", "-I", "-", stdin=(HERE / "prepare.py").read_bytes())
    machine.run("sync")


def cached(name: str) -> Path:
    """A binary that the lab has built, the newest."""
    found = sorted(CACHE.glob(f"{name}-*/{name}"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise Failed(f"the lab's cache has no {name}: run vagrant/lab build")
    return found[-1]


def load() -> float:
    """The load average of the last minute: what a number was measured under."""
    return round(os.getloadavg()[0], 2)


def say(text: str) -> None:
    """How a measurement goes on; what comes of it is for stdout."""
    print(text, file=sys.stderr, flush=True)
