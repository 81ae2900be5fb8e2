"""The program: samples in turn, medians, ratios, where our time goes, and one JSON object at the end."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import statistics
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
from tests.bench import floor, machines, observe, peers
from tests.bench.machines import Machine
from tests.bench.peers import Sample

CPU = """
import os, subprocess
subprocess.run(["kubeboot", "--help"], stdout=subprocess.DEVNULL)
a = os.times(); subprocess.run(["kubeboot", "--help"], stdout=subprocess.DEVNULL); b = os.times()
print(b.children_user + b.children_system - a.children_user - a.children_system)
"""
ROUNDS = ("kubeboot", "kubeadm", "kubeadm-tuned", "kubeboot-empty", "scripted")


@dataclasses.dataclass
class Results:
    """Everything that was measured."""

    samples: dict[str, list[Sample]] = dataclasses.field(default_factory=dict)
    floors: list[float] = dataclasses.field(default_factory=list)
    second: list[float] = dataclasses.field(default_factory=list)
    help_cpu: list[float] = dataclasses.field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.samples.setdefault(sample.peer, []).append(sample)
        say(
            f"  {sample.peer}: {sample.seconds:.2f} s (its command {sample.command:.2f} s),"
            f" {sample.restarts} restarts, load {sample.load}"
        )

    def median(self, peer: str) -> float | None:
        return median([s.seconds for s in self.samples.get(peer, ())])


def main(argv: Sequence[str]) -> int:
    """Run the samples and print what came of them."""
    given = arguments(argv)
    found = Results()
    bundle = peers.bundle(str(build.bundle_path()))
    for number in range(1, given.samples + 1):
        say(f"round {number} of {given.samples}, load {machines.load()}")
        found.floors.append(floor.measure())
        say(f"  floor: {found.floors[-1]:.2f} s")
        for name in given.only:
            one(name, bundle, found, given)
    report(found, given.steps)
    print(json.dumps(summary(found)))
    return 0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/init", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, default=3, help="how often each is measured")
    parser.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS), help="which peers")
    parser.add_argument("--workers", type=int, default=1, help="0: no joins are measured")
    parser.add_argument("--steps", type=int, default=25, help="how many steps of ours are shown")
    parser.add_argument("--keep", type=Path, help="where journals, events and samples are kept")
    return parser.parse_args(argv)


def one(name: str, bundle: Bundle, found: Results, given: argparse.Namespace) -> None:
    """One sample on machines of its own."""
    joins = given.workers if name in ("kubeboot", "kubeadm") else 0
    with machines.booted(joins, name) as lab:
        cp = lab["cp-1"]
        made(name, lab, bundle)
        time.sleep(1.0)
        try:
            found.add(RUN[name](cp))
            if name == "kubeboot":
                found.second.append(cp.timed("kubeboot", "init")[0])
                found.help_cpu.append(float(cp.run("python3", "-", stdin=CPU.encode())))
                milliseconds = found.help_cpu[-1] * 1000
                say(f"  second run: {found.second[-1]:.2f} s; --help: {milliseconds:.0f} ms of CPU")
            for worker in (m for n, m in lab.items() if n != "cp-1"):
                found.add(peers.join(name, cp, worker))
        finally:
            if given.keep:
                keep(given.keep / f"{name}-{len(found.samples.get(name, ()))}", cp, found.samples.get(name))


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


def report(found: Results, steps: int) -> None:
    """For people, on stdout."""
    print(f"floor (etcd + kube-apiserver to /readyz): {shown(median(found.floors))}")
    for peer, samples in found.samples.items():
        times = ", ".join(f"{s.seconds:.2f}" for s in samples)
        loads = ", ".join(f"{s.load}" for s in samples)
        total = sum(s.restarts for s in samples)
        print(f"{peer:16} median {shown(found.median(peer))}  [{times}]  load [{loads}]  {total} restarts")
    for name, value in ratios(found).items():
        print(f"{name:32} {value}")
    breakdown(found.samples.get("kubeboot", []), steps)


def breakdown(samples: list[Sample], count: int) -> None:
    """The median run's steps in the order in which they ended; those that took long."""
    if not samples:
        return
    middle = sorted(samples, key=lambda s: s.seconds)[(len(samples) - 1) // 2]
    found = middle.parts["steps"]
    print(f"steps of the run of {middle.seconds:.2f} s (began → ended, seconds since the plan began)")
    longest = sorted(found, key=lambda name: -found[name]["seconds"])[:count]
    for name in sorted(longest, key=lambda name: found[name]["at"]):
        at, took = found[name]["at"], found[name]["seconds"]
        print(f"  {at - took:6.2f} → {at:6.2f}  {took:6.2f}  {name}")


def ratios(found: Results) -> dict[str, float | None]:
    """The figures that have bars."""
    pairs = {
        "ratio_documented": ("kubeboot", "kubeadm"),
        "ratio_tuned": ("kubeboot", "kubeadm-tuned"),
        "ratio_join": ("kubeboot-join", "kubeadm-join"),
        "ratio_empty": ("kubeboot-empty", "scripted"),
    }
    return {name: ratio(found.median(a), found.median(b)) for name, (a, b) in pairs.items()}


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours and theirs else None


def summary(found: Results) -> dict[str, Any]:
    """Everything on one line."""
    return {
        "floor_seconds": median(found.floors),
        **{f"{re.sub('-', '_', peer)}_seconds": found.median(peer) for peer in found.samples},
        **ratios(found),
        "second_run_seconds": median(found.second),
        "help_cpu_seconds": median(found.help_cpu),
        "restarts": {peer: sum(s.restarts for s in samples) for peer, samples in found.samples.items()},
        "samples": {
            peer: [{"seconds": round(s.seconds, 2), "load": s.load} for s in samples]
            for peer, samples in found.samples.items()
        },
    }


def median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
