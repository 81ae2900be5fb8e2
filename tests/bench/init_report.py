"""What was measured: medians, ratios, where our time goes, and all of it as one JSON object."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.peers import Sample

RATIOS = {
    "ratio_documented": ("kubeboot", "kubeadm"),
    "ratio_tuned": ("kubeboot", "kubeadm-tuned"),
    "ratio_join": ("kubeboot-join", "kubeadm-join"),
    "ratio_empty": ("kubeboot-empty", "scripted"),
}
"""The figures that have bars."""
MILESTONES = {
    "kubelet/service": "the kubelet runs",
    "control-plane/rights": "the API server writes down its components' rights",
    "control-plane/ready": "the API server is ready",
    "network/pod-cidr": "the controllers work: the node has its range",
    "proxy/daemonset-kube-proxy": "kube-proxy and flannel are applied",
    "proxy/ready": "kube-proxy runs",
    "network/first-pods": "pods may start",
    "dns/answers": "DNS answers the machine",
}
"""The critical path of init, by the steps that end it."""


@dataclasses.dataclass
class Results:
    """Everything that was measured. `failed`: what became of samples that never saw an answer."""

    samples: dict[str, list[Sample]] = dataclasses.field(default_factory=dict)
    floors: list[float] = dataclasses.field(default_factory=list)
    second: list[float] = dataclasses.field(default_factory=list)
    help_cpu: list[float] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.samples.setdefault(sample.peer, []).append(sample)

    def median(self, peer: str) -> float | None:
        return median([s.seconds for s in self.samples.get(peer, ())])


def lines(found: Results, steps: int) -> Iterator[str]:
    """For people."""
    yield f"floor (etcd + kube-apiserver to /readyz): {shown(median(found.floors))}"
    for peer, samples in found.samples.items():
        times = ", ".join(f"{s.seconds:.2f}" for s in samples)
        restarts = ", ".join(str(s.restarts) for s in samples)
        loads = ", ".join(str(s.load) for s in samples)
        middle = shown(found.median(peer))
        yield f"{peer:16} median {middle:>8}  [{times}]  restarts [{restarts}]  load [{loads}]"
    yield f"{'second run':16} median {shown(median(found.second)):>8}"
    yield f"{'--help':16} median {shown(median(found.help_cpu)):>8} of processor time"
    for name, value in ratios(found).items():
        yield f"{name:16} {'-' if value is None else value}"
    yield from found.failed
    ours = found.samples.get("kubeboot", [])
    if ours:
        yield from path(ours, median(found.floors))
        yield from longest(ours, steps)


def path(samples: Sequence[Sample], floor: float | None) -> Iterator[str]:
    """The critical path: medians in seconds since the command, and what each part took."""
    yield f"where the time of init goes, in seconds since the command; floor {shown(floor)}"
    before = 0.0
    for what, at in milestones(samples).items():
        beside = f"  (floor {shown(floor)})" if what == MILESTONES["control-plane/ready"] else ""
        yield f"  {at:6.2f}  {at - before:+6.2f}  {what}{beside}"
        before = at


def milestones(samples: Sequence[Sample]) -> dict[str, float]:
    """Medians over the samples, in seconds since the command."""
    found = {"the plan begins: Python, facts, preflight": _median([s.parts["plan"] for s in samples])}
    for step, what in MILESTONES.items():
        ends = [s.parts["plan"] + s.parts["steps"][step]["at"] for s in samples if step in s.parts["steps"]]
        found |= {what: _median(ends)} if ends else {}
    answered = {"a pod is answered": _median([s.seconds for s in samples])}
    return dict(sorted((found | answered).items(), key=lambda pair: pair[1]))


def longest(samples: Sequence[Sample], count: int) -> Iterator[str]:
    """The median run's steps in the order in which they ended; those that took long."""
    middle = sorted(samples, key=lambda s: s.seconds)[(len(samples) - 1) // 2]
    found = middle.parts["steps"]
    yield f"steps of the run of {middle.seconds:.2f} s (began → ended, seconds since the plan began)"
    chosen = sorted(found, key=lambda name: -found[name]["seconds"])[:count]
    for name in sorted(chosen, key=lambda name: found[name]["at"]):
        at, took = found[name]["at"], found[name]["seconds"]
        yield f"  {at - took:6.2f} → {at:6.2f}  {took:6.2f}  {name}"


def ratios(found: Results) -> dict[str, float | None]:
    """Ours by theirs."""
    return {name: _ratio(found.median(a), found.median(b)) for name, (a, b) in RATIOS.items()}


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours and theirs else None


def summary(found: Results) -> dict[str, Any]:
    """Everything on one line."""
    ours = found.samples.get("kubeboot", [])
    return {
        "floor_seconds": median(found.floors),
        **{f"{re.sub('-', '_', peer)}_seconds": found.median(peer) for peer in found.samples},
        **ratios(found),
        "second_run_seconds": median(found.second),
        "help_cpu_seconds": median(found.help_cpu),
        "restarts": {peer: sum(s.restarts for s in samples) for peer, samples in found.samples.items()},
        "failed": found.failed,
        "milestones": {what: round(at, 2) for what, at in milestones(ours).items()} if ours else {},
        "samples": {peer: [_short(s) for s in samples] for peer, samples in found.samples.items()},
    }


def _short(sample: Sample) -> Mapping[str, float]:
    return {"seconds": round(sample.seconds, 2), "load": sample.load, "restarts": sample.restarts}


def median(values: Sequence[float]) -> float | None:
    """None where nothing was measured."""
    return round(_median(values), 3) if values else None


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def shown(value: float | None) -> str:
    """Seconds, or a dash."""
    return "-" if value is None else f"{value:.2f} s"
