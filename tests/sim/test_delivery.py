"""How files come to machines: fetched there, from an internet on loopback, or from a bundle sent once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kubeboot.artifacts import pack
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.stock import Stock
from kubeboot.config import loader
from kubeboot.config.loader import Sources
from kubeboot.config.problems import InvalidConfig
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Drift
from kubeboot.fleet.supply import Far, Near
from kubeboot.host.api import CommandFailed
from kubeboot.host.sending import OnMachine
from kubeboot.host.shell import runners
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from kubeboot.steps import basic, sent
from tests.fakes import downloads
from tests.fakes import sshd as servers
from tests.fakes.host import FakeHost
from tests.sim.contract import converges
from tests.sim.internet import Internet, User, a_release
from tests.unit.bundle_support import CONTENTS


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Of the loopback internet."""
    path = tmp_path / "ca.pem"
    path.write_bytes(downloads.authority().certificate)
    return path


@pytest.fixture
def machine(authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """It trusts that authority, and keeps what it fetches in a test's own place."""
    here = runners.PUT_TOGETHER.replace(runners.FETCHED, str(tmp_path / "fetched"))
    monkeypatch.setattr(runners, "PUT_TOGETHER", here)
    with servers.running(tmp_path / "sshd", environment=f"CURL_CA_BUNDLE={authority}") as server:
        host = SshHost(Connection(Login(server.name, server.ssh_config)))
        yield host
        host.close()


@pytest.fixture
def user(authority: Path, tmp_path: Path) -> Iterator[User]:
    with Internet(a_release(), login="").running() as net:
        made = User(tmp_path / "user", net, str(authority))
        yield made
        made.web.close()


def only_fetched(found: Iterable[bytes]) -> OnMachine:
    assert isinstance(found, OnMachine)

    def never() -> Iterable[bytes]:
        raise AssertionError("nothing is to be sent")

    return OnMachine(found.parts, never)


def put(machine: SshHost, to: Path, stock: Stock, name: str) -> None:
    binary = stock.catalog().binary(name)
    machine.put(str(to), only_fetched(Far(stock).binary(binary)), binary.sha256)


def test_binaries_are_fetched_and_an_archive_only_once(machine: SshHost, user: User, tmp_path: Path) -> None:
    stock = user.stock()
    for name in ("kubelet", "containerd", "ctr"):
        put(machine, tmp_path / name, stock, name)
        found = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert found == stock.catalog().binary(name).sha256
    user.internet.asked.clear()
    put(machine, tmp_path / "runc-shim", stock, "containerd-shim-runc-v2")
    assert user.internet.asked == []


def test_an_image_is_fetched_layer_by_layer(machine: SshHost, user: User, tmp_path: Path) -> None:
    stock = user.stock()
    image = stock.catalog().image("etcd")
    data = b"".join(stock.image(image))
    machine.put(
        str(tmp_path / "etcd.tar"), only_fetched(Far(stock).image(image)), hashlib.sha256(data).hexdigest()
    )
    assert (tmp_path / "etcd.tar").read_bytes() == data


def test_other_bytes_are_refused_and_leave_nothing(machine: SshHost, user: User, tmp_path: Path) -> None:
    stock = user.stock()
    assert stock.catalog().binary("kubelet").sha256
    url = next(path for path in user.internet.files if path.endswith("/kubelet"))
    user.internet.files[url] = b"somebody else's"
    with pytest.raises(CommandFailed) as raised:
        put(machine, tmp_path / "kubelet", stock, "kubelet")
    assert "not with the sum" in str(raised.value.output)
    assert not list(tmp_path.glob("*kubelet*")) and not list((tmp_path / "fetched").glob("[0-9a-f]" * 64))


def test_what_wants_to_see_a_token_is_sent(user: User) -> None:
    user.internet.registry.login = "bearer"
    stock = user.stock()
    image = stock.catalog().image("etcd")
    found = Far(stock).image(image)
    assert not isinstance(found, OnMachine) and b"".join(found) == b"".join(stock.image(image))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    pack.write(tmp_path / "bundle.tar", CONTENTS)
    return Bundle(tmp_path / "bundle.tar")


def test_a_bundle_is_sent_once(bundle: Bundle) -> None:
    host = FakeHost("w-1")
    step = sent.EnsureBundle(id=sent.SENT, title="x", on="w-1", bundle=bundle)
    assert isinstance(converges(step, host), Drift)
    assert host.files[sent.path(bundle)].data == bundle.path.read_bytes()


def test_everything_is_taken_from_it_then(bundle: Bundle) -> None:
    near = Near(bundle, sent.path(bundle))
    kubelet = basic.EnsureBinary(
        id="kubelet/binary", title="x", on="w-1", binary=bundle.catalog().binary("kubelet"), source=near
    )
    other = basic.EnsureDir(id="trees/x", title="x", on="w-1", path="/opt/x")
    made = sent.first(Plan("join", "x", (other, kubelet), {"w-1": "worker"}), "w-1", bundle)
    order = [step for _, step in plans.ordered(plans.edges(made))]
    assert order == ["trees/x", sent.SENT, "kubelet/binary"]
    assert sent.first(Plan("x", "x", (other,), {}), "w-1", bundle).steps == (other,)


@pytest.mark.parametrize("said", ["{delivery: bundle}", "{delivery: fetch, bundle: /b}", "{delivery: mail}"])
def test_deliveries_that_mean_nothing(said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\nartifacts: {said}\n")
    with pytest.raises(InvalidConfig) as raised:
        loader.load(Sources(files=[str(path)]))
    assert [problem.path for problem in raised.value.problems] == [("artifacts", "delivery")]
