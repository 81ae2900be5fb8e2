"""What tests/bench/up makes of its samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bench import observe, up_main, versus
from tests.bench.versus import Contest, Sample

READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def test_everything_is_on_one_line_of_json() -> None:
    found = {"local": [Sample(50.0, 60.0, 1.0), Sample(40.0, 50.0, 1.0)], "up": [Sample(55.0, 66.0, 1.0)]}
    said = json.loads(json.dumps(up_main.CONTEST.summary(found)))
    assert (said["ratio"], said["bar"], said["controlPlanes"], said["workers"]) == (1.2, 1.3, 3, 2)
    assert versus.median(found["local"]) == 55.0 and said["up"][0]["ready"] == 66.0


def test_who_is_not_ready_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes: dict[str, tuple[int, Any]] = {"cp-1": (200, READY), "worker-1": (404, {})}

    class Api:
        def __init__(self, machine: object) -> None:
            """Nobody is asked."""

        def ask(self, method: str, path: str) -> tuple[int, Any]:
            return nodes[path.rpartition("/")[2]]

    monkeypatch.setattr(observe, "Api", Api)
    lab: dict[str, Any] = dict.fromkeys(nodes)
    assert up_main.lacking(lab) == "worker-1 not Ready"
    nodes["worker-1"] = (200, READY)
    assert up_main.lacking(lab) is None


@pytest.mark.parametrize(("bar", "status"), [(1.2, 0), (1.1, 1)])
def test_a_bar_is_held_or_not(capsys: pytest.CaptureFixture[str], bar: float, status: int) -> None:
    took = {"theirs": 10.0, "ours": 12.0}
    ways = ("theirs", "ours")
    contest = Contest("x", None, "done", ways, "ours", bar, lambda way: Sample(1.0, took[way], 0.5))
    assert versus.main(contest, ["-n", "2"]) == status
    out, _ = capsys.readouterr()
    assert "ours       done, median 12.00 s  [12.00, 12.00]" in out
    last = json.loads(out.splitlines()[-1])
    assert last["ratio"] == 1.2 and len(last["theirs"]) == 2
