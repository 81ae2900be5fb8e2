"""What is made of upstream: a directory, a bundle, a registry of one's own, each a source again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubeboot import errors, render
from kubeboot.artifacts import directory, pack, push
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.stock import Stock
from tests.fakes import downloads, registry, tls
from tests.sim import internet
from tests.sim.internet import User, a_release, members, using


def test_a_directory_is_filled_and_is_a_source_of_its_own(user: User, tmp_path: Path) -> None:
    stock, root = user.stock(), tmp_path / "usb"
    stock.verify()
    directory.fill(root, stock)
    assert (root / "dl.k8s.io/release/v1.37.1/bin/linux/amd64/kubelet").is_file()
    offline = Stock(stock.release, directory.Directory(root, Known()))
    offline.verify()
    assert offline.catalog() == stock.catalog()
    for binary in offline.catalog().binaries:
        assert b"".join(offline.binary(binary)) == b"".join(stock.binary(binary))
    etcd = offline.catalog().image("etcd")
    assert b"".join(offline.image(etcd)) == b"".join(stock.image(etcd))
    index = json.loads((root / "index.json").read_bytes())
    assert {each["digest"] for each in index["manifests"]} >= {i.digest for i in stock.catalog().images}


def filled(user: User, root: Path) -> Stock:
    stock = user.stock()
    stock.verify()
    directory.fill(root, stock)
    return Stock(stock.release, directory.Directory(root, Known()))


def test_a_directory_can_hold_both_architectures(user: User, tmp_path: Path, authority: str) -> None:
    first = filled(user, tmp_path / "usb")
    with using(tmp_path / "other", authority, a_release(arch="arm64")) as other:
        second = filled(other, tmp_path / "usb")
    for stock in (first, second):
        stock.verify()
    assert first.catalog().image("etcd").digest != second.catalog().image("etcd").digest


def test_any_damaged_or_missing_file_of_a_directory_is_named(user: User, tmp_path: Path) -> None:
    root = tmp_path / "usb"
    filled(user, root)
    own = {"lock.yaml", "index.json", "oci-layout"}
    files = [path for path in root.rglob("*") if path.is_file() and path.name not in own]
    others = user.lock.read()
    for path in files:
        data = path.read_bytes()
        for wrong in (bytes([data[0] ^ 1]) + data[1:], data[:-1], None):
            path.unlink() if wrong is None else path.write_bytes(wrong)
            stock = Stock(user.internet.release, directory.Directory(root, others))
            with pytest.raises(errors.ConfigInvalid) as caught:
                stock.verify()
            assert str(path) in caught.value.message
        path.write_bytes(data)


def test_a_directory_put_together_by_hand_needs_sums_alone(user: User, tmp_path: Path) -> None:
    """What is inside of archives is looked up in them."""
    root = tmp_path / "usb"
    complete = filled(user, root)
    data = render.load((root / "lock.yaml").read_bytes())
    for entry in (*data["files"].values(), *(e for each in data["images"].values() for e in each.values())):
        entry.pop("members", None)
    (root / "lock.yaml").write_text(render.dump(data))
    assert Stock(complete.release, directory.Directory(root, Known())).catalog() == complete.catalog()


def test_a_directory_that_knows_too_little_says_what(user: User, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigInvalid, match="no lock knows https://dl") as caught:
        Stock(user.internet.release, directory.Directory(tmp_path, Known())).catalog()
    assert "artifacts pull --to" in str(caught.value.hint)


def test_a_directory_may_not_contradict_what_is_known(user: User, tmp_path: Path) -> None:
    filled(user, tmp_path / "usb")
    url = user.internet.release.executables[0].url
    depot = directory.Directory(tmp_path / "usb", Known({url: Entry("1" * 64)}))
    with pytest.raises(errors.ConfigInvalid, match="contradict"):
        Stock(user.internet.release, depot).catalog()


def test_what_is_there_already_is_not_copied_again(user: User, tmp_path: Path) -> None:
    root = tmp_path / "usb"
    filled(user, root)
    before = {
        path: path.stat().st_ino
        for path in root.rglob("*")
        if "blobs" in path.parts or "dl.k8s.io" in path.parts
    }
    filled(user, root)
    assert {path: path.stat().st_ino for path in before} == before


def test_a_bundle_is_made_that_gives_the_same(user: User, tmp_path: Path) -> None:
    stock = user.stock()
    stock.verify()
    with pack.contents(stock) as contents:
        pack.write(tmp_path / "bundle.tar", contents)
    bundle = Bundle(tmp_path / "bundle.tar")
    bundle.verify()
    ours, theirs = bundle.catalog(), stock.catalog()
    assert (ours.kubernetes_version, ours.arch) == (theirs.kubernetes_version, theirs.arch)
    assert {(b.name, b.version, b.path, b.sha256, b.size) for b in ours.binaries} == {
        (b.name, b.version, b.path, b.sha256, len(b"".join(stock.binary(b)))) for b in theirs.binaries
    }
    assert {(i.component, i.name, i.digest, i.size) for i in ours.images} == {
        (i.component, i.name, i.digest, i.size) for i in theirs.images
    }
    for image in ours.images:
        assert members(bundle.image(image)) == members(stock.image(image))


@pytest.mark.parametrize("login", ["", "bearer", "basic"])
def test_a_pushed_bundle_is_a_mirror(user: User, tmp_path: Path, authority: str, login: str) -> None:
    """Bundle → registry → another machine that asks only that registry: the same digests."""
    stock = user.stock()
    stock.verify()
    with pack.contents(stock) as contents:
        pack.write(tmp_path / "bundle.tar", contents)
    target = registry.Registry(login, members_only=bool(login))  # type: ignore[arg-type]
    certificate = tls.issued(downloads.authority(), "registry", "127.0.0.1")
    with tls.Server(target.answer, certificate).running() as server:
        target.url = server.url
        other = User(tmp_path / "other", user.internet, authority)
        other.credentials = Credentials({server.address: registry.USER})
        prefix = f"{server.address}/k8s"
        pushed = _push(other, tmp_path / "bundle.tar", prefix)
        puts = [each for each in target.asked if each.method == "PUT" and "/uploads/" in each.path]
        assert len(puts) == len(target.blobs) == pushed.uploaded
        assert _push(other, tmp_path / "bundle.tar", prefix).uploaded == 0
        assert f"{prefix}/coredns/coredns:v1.14.6" in pushed.names
        assert f"{prefix}/coredns:v1.14.6" in pushed.names
        assert f"{prefix}/kubeboot-binaries:v1.37.1-amd64" in pushed.names
        table = {
            **user.internet.mirrors().table,
            **{f"https://{h}": (f"https://{prefix}",) for h in internet.REGISTRIES},
        }
        plugin = "https://ghcr.io/flannel-io/flannel-cni-plugin"
        table[plugin] = (f"{user.internet.url}/ghcr.io/flannel-io/flannel-cni-plugin",)
        found = other.stock(mirrors=Mirrors(table)).catalog()
        other.web.close()
    assert [i.digest for i in found.images] == [i.digest for i in stock.catalog().images]


def _push(user: User, bundle: Path, prefix: str) -> push.Pushed:
    ways = user.ways()
    registries = Registries(ways.web, Mirrors(), user.credentials, ways.patience)
    return push.Pusher(registries, prefix, Watch(), ways.patience).push(Bundle(bundle))


def test_a_tag_names_every_architecture_that_was_pushed(user: User, tmp_path: Path, authority: str) -> None:
    target = registry.Registry()
    certificate = tls.issued(downloads.authority(), "registry", "127.0.0.1")
    with tls.Server(target.answer, certificate).running() as server:
        for arch in ("amd64", "arm64", "amd64"):
            with using(tmp_path / arch, authority, a_release(arch=arch)) as one:
                stock = one.stock()
                stock.verify()
                with pack.contents(stock) as contents:
                    pack.write(tmp_path / "bundle.tar", contents)
                _push(one, tmp_path / "bundle.tar", f"{server.address}/k8s")
    index = json.loads(target.manifests["k8s/etcd", "3.7.0-0"][1])
    assert sorted(each["platform"]["architecture"] for each in index["manifests"]) == ["amd64", "arm64"]


def test_a_registry_that_refuses_a_push_is_named(user: User, tmp_path: Path) -> None:
    stock = user.stock()
    stock.verify()
    with pack.contents(stock) as contents:
        pack.write(tmp_path / "bundle.tar", contents)
    certificate = tls.issued(downloads.authority(), "registry", "127.0.0.1")
    server = tls.Server(lambda request: tls.Reply(403), certificate)
    refused = pytest.raises(errors.Unreachable, match=r"cannot be pushed.*403 Forbidden")
    with server.running(), refused:
        _push(user, tmp_path / "bundle.tar", f"{server.address}/k8s")
