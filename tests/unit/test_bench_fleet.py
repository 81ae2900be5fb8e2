"""What tests/bench/fleet measures with: the playbook says what the journal says, writes and bars are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kubeboot.engine import undo
from tests.bench import fleet_lab, fleet_main, fleet_playbook, fleet_simulated
from tests.bench.fleet_simulated import Planned
from tests.bench.machines import Machine

JOURNAL = (
    undo.RemovePath("/etc/a.conf"),
    undo.RestoreFile("/etc/b.conf", "0" * 64, 0o644, "0:0"),
    undo.RemovePath("/etc/link"),
    undo.RemovePath("/etc/gone"),
    undo.RestoreUnit("containerd.service", False, False),
    undo.RestoreSysctl("net.ipv4.ip_forward", "0"),
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "var/lib/kubeboot").mkdir(parents=True)
    (root / "etc/a.conf").write_text("a")
    (root / "etc/a.conf").chmod(0o600)
    (root / "etc/b.conf").write_text("b")
    (root / "etc/link").symlink_to("a.conf")
    lines = (json.dumps({"step": "x", "undo": [undo.encode(one)]}) for one in JOURNAL)
    (root / "var/lib/kubeboot/journal.jsonl").write_text("\n".join((*lines, '{"run": "up"}')) + "\n")
    said = {"is-active": "active\n", "is-enabled": "static\n", "--values": "1\n"}
    monkeypatch.setattr(Machine, "run", lambda self, *argv, check=True: said[argv[1]])
    return Machine("worker-1", "none", "10.0.0.1", root)


def test_the_playbook_has_what_the_journal_has_and_the_machine_still_has(
    machine: Machine, tmp_path: Path
) -> None:
    found = fleet_playbook.describe(machine, tmp_path / "files")
    assert [(one["path"], one["mode"]) for one in found["files"]] == [
        ("/etc/a.conf", "0600"),
        ("/etc/b.conf", "0644"),
    ]
    assert [Path(one["src"]).read_text() for one in found["files"]] == ["a", "b"]
    assert found["links"] == [{"path": "/etc/link", "target": "a.conf"}]
    assert found["units"] == [{"name": "containerd.service", "state": "started"}]
    assert found["sysctls"] == {"net.ipv4.ip_forward": "1"}
    tasks = yaml.safe_load(fleet_playbook.PLAYBOOK)[0]["tasks"]
    assert [next(iter(task)) for task in tasks] == ["copy", "file", "systemd_service", "command"]


def test_a_write_is_seen_and_no_write_is_not(machine: Machine) -> None:
    before = fleet_lab._state(machine)
    assert fleet_lab._state(machine) == before and len(before) == 3
    (machine.root / "etc/a.conf").write_text("a")
    assert {Path(path).name for path, *_ in before ^ fleet_lab._state(machine)} == {"a.conf"}


def planned(seconds: float, states: dict[str, int], connections: int = 256) -> Planned:
    return Planned(seconds, 1.0, 300 << 20, connections, states, 0.0)


def test_bars_are_held_or_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    alive, some = {"drift": 100}, {"drift": 95, "unreachable": 5}
    for seconds, connections, code in ((41.0, 256, 0), (43.0, 256, 1), (41.0, 257, 1)):
        plans = iter((planned(40.0, alive), planned(seconds, some, connections)))
        monkeypatch.setattr(fleet_simulated, "plan", lambda *_, plans=plans: next(plans))
        assert fleet_main.main(["--simulated", "100"]) == code
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["held"]["connections"] is False
