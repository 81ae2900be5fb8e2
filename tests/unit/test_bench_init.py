"""What tests/bench/init makes of its samples."""

from __future__ import annotations

import json

import pytest

from tests.bench import init_report, peers
from tests.bench.init_report import Results
from tests.bench.peers import Sample

ENDS = {"kubelet/service": 0.5, "control-plane/ready": 4.0, "dns/answers": 8.0}


def ours(seconds: float, restarts: int = 0, late: float = 0.0) -> Sample:
    steps = {step: {"at": at + late, "seconds": 0.1, "state": "changed"} for step, at in ENDS.items()}
    return Sample("kubeboot", seconds, seconds, 1.0, restarts, {"plan": 0.5, "steps": steps})


def results() -> Results:
    found = Results(floors=[3.0, 3.2, 4.0])
    for sample in (ours(9.0), ours(12.0, restarts=1, late=2.0), ours(10.0, late=1.0)):
        found.add(sample)
    found.add(Sample("kubeadm", 30.0, 7.0, 1.0))
    return found


def test_ratios_are_of_medians_and_absent_where_one_side_is() -> None:
    said = init_report.summary(results())
    assert said["kubeboot_seconds"] == 10.0
    assert said["floor_seconds"] == 3.2
    assert said["ratio_documented"] == pytest.approx(0.333)
    assert said["ratio_tuned"] is None
    assert said["restarts"] == {"kubeboot": 1, "kubeadm": 0}
    assert [sample["restarts"] for sample in said["samples"]["kubeboot"]] == [0, 1, 0]
    assert json.loads(json.dumps(said)) == said


def test_the_path_counts_from_the_command_and_stands_beside_the_floor() -> None:
    at = init_report.milestones(results().samples["kubeboot"])
    assert [*at.values()] == sorted(at.values())
    assert at["the kubelet runs"] == 2.0
    assert at["a pod is answered"] == 10.0
    shown = "\n".join(init_report.lines(results(), 2))
    assert "5.50   +3.50  the API server is ready  (floor 3.20 s)" in shown


def test_a_sample_that_failed_is_told() -> None:
    found = Results(failed=["FAILED kubeadm: no answer"])
    assert "FAILED kubeadm: no answer" in [*init_report.lines(found, 5)]
    assert init_report.summary(found)["failed"] == found.failed


def test_a_run_is_read_from_its_events() -> None:
    events = (
        {"kind": "Notice", "text": "x"},
        {"kind": "RunStarted"},
        {"kind": "StepEvent", "step": "a", "state": "started"},
        {"kind": "StepEvent", "step": "a", "state": "ok", "at": 1.5, "seconds": 0.5, "host": "cp-1"},
    )
    found = peers.steps(map(json.dumps, events), began=0.0)
    assert found["plan"] > 0
    assert found["steps"] == {"a": {"at": 1.5, "seconds": 0.5, "state": "ok"}}
