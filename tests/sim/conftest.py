"""What tests over SSH share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server of the test's own."""
    with servers.running(tmp_path / "sshd") as server:
        yield server
