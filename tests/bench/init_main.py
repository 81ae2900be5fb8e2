"""The program: samples in turn, medians, ratios, where our time goes, and one JSON object at the end."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lablib import build

from kubeboot.artifacts.api import Catalog
from kubeboot.artifacts.bundle import Bundle
from kubeboot.config.node import NodeSettings
from kubeboot.steps import runtime
from tests.bench import floor, init_report, machines, observe, peers
from tests.bench.init_report import Results
from tests.bench.machines import Machine, say
from tests.bench.peers import Sample

CPU = """
import os, subprocess
subprocess.run(["kubeboot", "--help"], stdout=subprocess.DEVNULL)
a = os.times(); subprocess.run(["kubeboot", "--help"], stdout=subprocess.DEVNULL); b = os.times()
print(b.children_user + b.children_system - a.children_user - a.children_system)
"""
ROUNDS = ("kubeboot", "kubeadm", "kubeadm-tuned", "kubeboot-empty", "scripted")


def main(argv: Sequence[str]) -> int:
    """Run the samples and print what came of them; 1 when one of them failed."""
    given = arguments(argv)
    found = Results()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # machines are removed on the way out
    bundle = Bundle(build.build(say))
    for number in range(1, given.samples + 1):
        say(f"round {number} of {given.samples}, load {machines.load()}")
        found.floors.append(floor.measure())
        say(f"  floor: {found.floors[-1]:.2f} s")
        for name in given.only:
            attempt(name, bundle, found, given)
    for line in init_report.lines(found, given.steps):
        print(line)
    print(json.dumps(init_report.summary(found)))
    return 1 if found.failed else 0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/init", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, default=3, help="how often each is measured")
    parser.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS), help="which peers")
    parser.add_argument("--workers", type=int, default=1, help="0: no joins are measured")
    parser.add_argument("--steps", type=int, default=25, help="how many steps of ours are shown")
    parser.add_argument("--keep", type=Path, help="where journals, events and samples are kept")
    return parser.parse_args(argv)


def attempt(name: str, bundle: Bundle, found: Results, given: argparse.Namespace) -> None:
    """One sample; its failure is a result too."""
    try:
        one(name, bundle, found, given)
    except (machines.Failed, TimeoutError) as error:
        found.failed.append(f"FAILED {name}: {error}")
        say(f"  {found.failed[-1]}")


def one(name: str, bundle: Bundle, found: Results, given: argparse.Namespace) -> None:
    """One sample on machines of its own."""
    joins = given.workers if name in ("kubeboot", "kubeadm") else 0
    with machines.booted(joins, name) as lab:
        cp = lab["cp-1"]
        made(name, lab, bundle)
        time.sleep(1.0)
        try:
            add(found, RUN[name](cp))
            if name == "kubeboot":
                again(cp, found)
            for worker in (m for n, m in lab.items() if n != "cp-1"):
                add(found, peers.join(name, cp, worker))
        finally:
            if given.keep:
                keep(given.keep / f"{name}-{len(found.samples.get(name, ()))}", cp, found.samples.get(name))


def add(found: Results, sample: Sample) -> None:
    found.add(sample)
    say(
        f"  {sample.peer}: {sample.seconds:.2f} s (its command {sample.command:.2f} s),"
        f" {sample.restarts} restarts, load {sample.load}"
    )


def again(machine: Machine, found: Results) -> None:
    """What the same machine takes for a second run, and for the help."""
    found.second.append(machine.timed("kubeboot", "init")[0])
    found.help_cpu.append(float(machine.run("python3", "-", stdin=CPU.encode())))
    milliseconds = found.help_cpu[-1] * 1000
    say(f"  second run: {found.second[-1]:.2f} s; --help: {milliseconds:.0f} ms of CPU")


RUN: dict[str, Callable[[Machine], Sample]] = {
    "kubeboot": peers.kubeboot,
    "kubeadm": peers.documented,
    "kubeadm-tuned": peers.tuned,
    "kubeboot-empty": peers.empty,
    "scripted": peers.scripted,
}


def made(name: str, lab: dict[str, Machine], bundle: Bundle) -> None:
    """The state that a peer starts from."""
    catalog, cp = bundle.catalog(), lab["cp-1"]
    if name not in ("kubeboot-empty", "scripted"):
        for machine in lab.values():
            machines.prepare(machine)
    if name.startswith("kubeadm"):
        for machine in lab.values():
            tuned = name == "kubeadm-tuned"
            peers.place_kubeadm(machine, catalog, tuned=tuned, address=cp.address)
    if name == "scripted":
        peers.place_kubeadm(cp, catalog, tuned=False)
        place_archive(cp, bundle, catalog)


def place_archive(machine: Machine, bundle: Bundle, catalog: Catalog) -> None:
    """What the script unpacks: the same binaries and images, as tars; and containerd's files."""
    with tempfile.TemporaryDirectory() as room:
        top, listed = Path(room), []
        for binary in catalog.binaries:
            listed.append(write(top / binary.path.lstrip("/"), bundle.binary(binary), 0o755))
        for image in catalog.images:
            listed.append(write(top / "opt/images" / f"{image.component}.tar", bundle.image(image), 0o644))
        with tarfile.open(top / "peer.tar", "w") as tar:
            for path in listed:
                tar.add(path, str(path.relative_to(top)))
        target = machine.root / "etc/bench/peer.tar"
        with (top / "peer.tar").open("rb") as source, target.open("wb") as out:
            while chunk := source.read(1 << 22):
                out.write(chunk)
    containerd_files(machine, catalog)
    machine.run("sync")


def containerd_files(machine: Machine, catalog: Catalog) -> None:
    """containerd as kubeboot configures it: a peer is not made to look for what a container needs."""
    node = NodeSettings("cp-1", machine.address, "control_plane", may_lower_oom_score=False)
    machine.write(runtime.CONFIG, runtime.config(node, catalog).encode())
    machine.write(runtime.UNIT_FILE, runtime.unit(node, catalog).encode())


def write(path: Path, chunks: Any, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)
    path.chmod(mode)
    return path


def keep(room: Path, machine: Machine, samples: list[Sample] | None) -> None:
    """Journals and events of a machine, for the one who asks why."""
    room.mkdir(parents=True, exist_ok=True)
    journal = machine.run("journalctl", "-o", "short-precise", "--no-pager", check=False)
    (room / "journal.log").write_text(journal)
    (room / "pods.log").write_text(observe.logs(machine))
    try:
        happened = "\n".join(f"{when} {what}" for when, what in observe.moments(machine))
    except Exception as error:
        happened = f"no events: {error}"
    (room / "events.log").write_text(happened)
    if samples:
        (room / "sample.json").write_text(json.dumps(dataclasses.asdict(samples[-1]), indent=1))
