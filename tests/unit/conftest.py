"""What tests of the command line and of the lab share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from kubeboot.cli import actions
from tests.unit.cli_actions import Actions


@pytest.fixture
def acts() -> Iterator[Actions]:
    """No command does anything but tell these."""
    found = Actions()
    stand_ins = {name: found.stand_in(name) for name in found.answers}
    with mock.patch.multiple(actions, **stand_ins):
        yield found


@pytest.fixture
def lab_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where labs are remembered: nobody's are there."""
    monkeypatch.setenv("KUBEBOOT_LAB_STATE", str(tmp_path / "state"))
    return tmp_path / "state"
