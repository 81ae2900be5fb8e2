"""What tests over SSH and tests of downloads share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import downloads
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd
from tests.sim.internet import User, a_release, using


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server of the test's own."""
    with servers.running(tmp_path / "sshd") as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of the authority that all who are downloaded from have their certificates of."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_bytes(downloads.authority().certificate)
    return str(path)


@pytest.fixture
def user(tmp_path: Path, authority: str) -> Iterator[User]:
    """Somebody who downloads a release, for whom the internet is here."""
    with using(tmp_path, authority, a_release()) as user:
        yield user
