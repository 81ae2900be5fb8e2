"""What tests over SSH, of downloads and of fleets share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.web import Web
from kubeboot.host.ssh.host import SshHost
from tests.fakes import downloads
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd
from tests.sim import fleet_world
from tests.sim.download_scene import PATIENT, Scene
from tests.sim.internet import User, a_release, using


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server of the test's own."""
    with servers.running(tmp_path / "sshd") as server:
        yield server


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    """A machine behind a real sshd, for all tests of a file."""
    with servers.running(tmp_path_factory.mktemp("sshd")) as sshd:
        host = SshHost.from_ssh_config(sshd.ssh_config, sshd.name)
        yield host
        host.close()


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


@pytest.fixture
def scene(tmp_path: Path, authority: str) -> Iterator[Scene]:
    """A site, and somebody who downloads from it."""
    site, web = downloads.Site(), Web(authority, PATIENT, environ={})
    with downloads.serving(site) as url:
        yield Scene(site, url, Cache(tmp_path / "cache"), web, [], [])
        web.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> fleet_world.World:
    """A fleet whose machines only note their work."""
    return fleet_world.noted(monkeypatch)
