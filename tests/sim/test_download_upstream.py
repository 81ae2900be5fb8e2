"""Upstream as a source: resolved once, locked, fetched, verified, kept; and what is made of it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import errors, render
from kubeboot.artifacts import directory, known, oci, pack, pinning, push
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.stock import Stock
from tests.fakes import downloads, registry, tls
from tests.sim import internet
from tests.sim.internet import User, a_release, using


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_bytes(downloads.authority().certificate)
    return str(path)


@pytest.fixture
def user(tmp_path: Path, authority: str) -> Iterator[User]:
    with using(tmp_path, authority, a_release()) as user:
        yield user


def members(chunks: Iterator[bytes]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def test_the_first_run_asks_and_writes_down_what_everything_is(user: User) -> None:
    catalog = user.stock().catalog()
    for binary, executable in zip(catalog.binaries, user.internet.release.executables, strict=True):
        if executable.url:
            assert binary.sha256 == hashlib.sha256(internet.content(executable)).hexdigest()
        assert len(binary.sha256) == 64
    assert {image.component for image in catalog.images} >= {"etcd", "pause", "haproxy", "kube-apiserver"}
    assert pinning.missing(user.internet.release, user.lock.read()) == ()
    assert any("kubelet: sha256" in text and "kubelet.sha256" in text for text in user.said)
    assert any(text.startswith("registry.k8s.io/etcd:3.7.0-0 for amd64: sha256:") for text in user.said)


def test_the_second_run_asks_nobody(user: User) -> None:
    first = user.stock()
    first.verify()
    user.internet.asked.clear()
    user.said.clear()
    second = user.stock(locked=True)
    second.verify()
    assert user.internet.asked == []
    assert user.said == []
    assert [b.sha256 for b in second.catalog().binaries] == [b.sha256 for b in first.catalog().binaries]
    assert second.identity() == user.stock().identity()


def test_everything_is_there_after_verify(user: User) -> None:
    stock = user.stock()
    stock.verify()
    user.internet.files.clear()
    user.internet.registry.blobs.clear()
    user.internet.registry.manifests.clear()
    catalog = stock.catalog()
    for binary in catalog.binaries:
        assert hashlib.sha256(b"".join(stock.binary(binary))).hexdigest() == binary.sha256
    for image in catalog.images:
        parts = members(stock.image(image))
        index = json.loads(parts["index.json"])["manifests"]
        assert [each["digest"] for each in index] == [image.digest]
        assert index[0]["annotations"]["io.containerd.image.name"] == image.name
        manifest = json.loads(parts[oci.blob_name(image.digest)])
        wanted = [manifest["config"], *manifest["layers"]]
        assert {oci.blob_name(each["digest"]) for each in wanted} <= parts.keys()
        blobs = {name: data for name, data in parts.items() if name.startswith("blobs/")}
        assert all(oci.blob_name(oci.digest(data)) == name for name, data in blobs.items())


def test_the_flannel_plugin_comes_out_of_its_image(user: User) -> None:
    stock = user.stock()
    binary = stock.catalog().binary("cni-flannel")
    name = "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel1"
    assert b"".join(stock.binary(binary)) == f"flannel of {name} for amd64".encode()


def test_the_machines_architecture_is_taken(tmp_path: Path, authority: str) -> None:
    with using(tmp_path, authority, a_release(arch="arm64")) as user:
        config = json.loads(_config(user.stock(), "etcd"))
    assert config["architecture"] == "arm64"


def _config(stock: Stock, component: str) -> bytes:
    image = stock.catalog().image(component)
    parts = members(stock.image(image))
    manifest = json.loads(parts[oci.blob_name(image.digest)])
    return parts[oci.blob_name(manifest["config"]["digest"])]


def test_locked_believes_nothing_new(user: User) -> None:
    with pytest.raises(errors.ConfigInvalid, match="15 artifacts are in no lock") as caught:
        user.stock(locked=True).catalog()
    assert "kubeboot artifacts lock" in str(caught.value.hint)
    assert user.internet.asked == []
    assert not user.lock.path.exists()


def test_a_dry_run_asks_nobody_and_writes_nothing(user: User) -> None:
    catalog = user.stock(peek=True).catalog()
    assert {b.sha256 for b in catalog.binaries} == {""}
    assert {i.digest for i in catalog.images} == {""}
    assert user.internet.asked == []
    assert list(user.root.iterdir()) == []


def test_a_dry_run_after_a_run_knows_everything(user: User) -> None:
    catalog = user.stock().catalog()
    assert user.stock(peek=True).catalog() == catalog


def _changed(user: User, url: str, entry: Entry) -> None:
    lock = user.lock.read()
    known.write(user.lock.path, Known({**lock.files, url: entry}, lock.images))


def test_a_file_that_is_no_longer_what_it_was_is_refused(user: User) -> None:
    user.stock().catalog()
    url = user.internet.release.executables[0].url
    user.internet.files[f"/{url.partition('://')[2]}"] += b"changed"
    with pytest.raises(errors.ConfigInvalid, match="sends other bytes") as caught:
        user.stock().verify()
    assert url in caught.value.message


def test_a_published_sum_that_does_not_fit_is_refused(user: User) -> None:
    """Upstream's sum and upstream's file disagree: somebody is wrong, and nothing is used."""
    url = user.internet.release.executables[0].url
    user.internet.files[f"/{url.partition('://')[2]}.sha256"] = b"0" * 64
    with pytest.raises(errors.ConfigInvalid, match="sends other bytes"):
        user.stock().verify()
    assert not user.cache.has("0" * 64)


@pytest.mark.parametrize("text", [b"", b"not a sum", b"<html></html>", b"%s  another-file\n" % (b"1" * 64)])
def test_a_sum_that_is_none_is_not_believed(user: User, text: bytes) -> None:
    for path in user.internet.files:
        if path.endswith("kubectl.sha256"):
            user.internet.files[path] = text
    with pytest.raises(errors.Unreachable, match="gives no sum of the file"):
        user.stock().catalog()


def test_everything_that_cannot_be_had_is_named_at_once(user: User) -> None:
    user.internet.files.clear()
    with pytest.raises(errors.Unreachable) as caught:
        user.stock().catalog()
    assert caught.value.message == "5 artifacts cannot be obtained"
    assert len(str(caught.value.output).splitlines()) == 5


def test_what_was_found_before_a_failure_is_kept(user: User) -> None:
    user.internet.registry.manifests.clear()
    with pytest.raises(errors.Unreachable):
        user.stock().catalog()
    assert len(user.lock.read().files) == 5


def test_the_users_lock_may_not_contradict_the_package(user: User) -> None:
    user.stock().catalog()
    url = user.internet.release.executables[0].url
    with pytest.raises(errors.ConfigInvalid, match="contradict each other") as caught:
        user.stock(shipped=Known({url: Entry("1" * 64)})).catalog()
    assert url in caught.value.message


def test_a_damaged_cache_is_mended(user: User) -> None:
    user.stock().verify()
    blobs = sorted(user.cache.path("x").parent.iterdir())
    for path in blobs:
        path.write_bytes(b"?" + path.read_bytes()[1:])
    user.stock().verify()
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in blobs)


def test_damage_between_verify_and_use_is_noticed(user: User) -> None:
    stock = user.stock()
    stock.verify()
    binary = stock.catalog().binary("kubelet")
    user.cache.path(binary.sha256).write_bytes(b"?")
    with pytest.raises(errors.ConfigInvalid, match="is damaged"):
        list(stock.binary(binary))


def test_another_file_inside_of_an_archive_is_noticed(user: User) -> None:
    stock = user.stock()
    stock.verify()
    executable = next(each for each in user.internet.release.executables if each.name == "ctr")
    archive = user.cache.path(stock.known.files[executable.url].sha256)
    archive.write_bytes(registry.layer({executable.member: b"evil"}))
    with pytest.raises(errors.ConfigInvalid, match=r"bin/ctr in .* is damaged"):
        list(stock.binary(stock.catalog().binary("ctr")))


def test_sums_are_asked_over_https_only(user: User) -> None:
    plain = Mirrors({"https://dl.k8s.io": ("http://127.0.0.1:1",), **_others(user)})
    with pytest.raises(errors.Unreachable) as caught:
        user.stock(mirrors=plain).catalog()
    assert "only believed over verified TLS" in str(caught.value.output)


def test_tags_are_asked_over_https_only(user: User) -> None:
    plain = Mirrors({**user.internet.mirrors().table, "https://docker.io": ("http://127.0.0.1:1",)})
    with pytest.raises(errors.Unreachable, match="only believed over verified TLS"):
        user.stock(mirrors=plain).catalog()


def _others(user: User) -> dict[str, tuple[str, ...]]:
    return {key: value for key, value in user.internet.mirrors().table.items() if "dl.k8s.io" not in key}


# Registries


def test_tokens_are_fetched_once_for_each_repository(user: User) -> None:
    user.stock().verify()
    tokens = [each.path for each in user.internet.registry.asked if each.path.startswith("/token")]
    assert len(tokens) <= 2 * len(user.internet.release.names())
    assert all("scope=repository" in path and "service=fake" in path for path in tokens)


@pytest.mark.parametrize("login", ["bearer", "basic"])
def test_a_password_opens_a_closed_registry(user: User, login: str) -> None:
    user.internet.registry.login = login  # type: ignore[assignment]
    user.internet.registry.members_only = True
    with pytest.raises(errors.Unreachable) as caught:
        user.stock().catalog()
    assert "credentials" in str(caught.value.output) or "gives no token" in str(caught.value.output)
    user.credentials = Credentials({user.internet.url.partition("://")[2]: registry.USER})
    assert user.stock().catalog().image("etcd").digest
    assert registry.USER not in user.lock.path.read_text()


def test_a_token_is_not_asked_where_it_is_not_safe(user: User) -> None:
    user.internet.registry.realm = "http://127.0.0.1:1/token"
    with pytest.raises(errors.Unreachable) as caught:
        user.stock().catalog()
    assert "a token from a place that is not https" in str(caught.value.output)


def test_a_registry_whose_digest_does_not_fit_is_refused(user: User) -> None:
    user.internet.registry.stated = f"sha256:{'0' * 64}"
    with pytest.raises(errors.ConfigInvalid) as caught:
        user.stock().catalog()
    assert "sends other bytes" in str(caught.value.output)


def test_a_manifest_that_is_another_one_is_refused(user: User) -> None:
    manifests = user.internet.registry.manifests
    digest = user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"etcd"})
    manifests["registry.k8s.io/etcd", digest] = manifests["registry.k8s.io/pause", "3.10.2"]
    with pytest.raises(errors.ConfigInvalid, match=r"etcd:3\.7\.0-0 is not what it must be"):
        user.stock().catalog()


def test_an_image_without_our_architecture_is_refused(user: User) -> None:
    user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"etcd"}, archs=("s390x",))
    with pytest.raises(errors.Unreachable, match="has no image for linux/amd64"):
        user.stock().catalog()


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"schemaVersion": 1}',
        b'{"schemaVersion": 2, "config": {}, "layers": []}',
        b'{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": 7}',
        b'{"schemaVersion":2,"config":{"mediaType":"","digest":"sha256:../../../etc","size":1},"layers":[]}',
    ],
)
def test_a_manifest_that_is_none_is_refused(user: User, body: bytes) -> None:
    user.internet.registry.manifests["registry.k8s.io/pause", "3.10.2"] = (oci.MANIFEST, body)
    with pytest.raises(errors.Unreachable, match="does not answer as a registry does"):
        user.stock().catalog()


def test_a_tag_that_moves_does_not_move_us(user: User) -> None:
    before = user.stock().catalog().image("etcd").digest
    after = user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"another"})
    again = user.stock()
    again.verify()
    assert again.catalog().image("etcd").digest == before != after


# What is made of it


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


# The user's own lock


def test_two_runs_add_to_one_lock(tmp_path: Path) -> None:
    lock = known.UserLock(tmp_path / "etc" / "lock.yaml")
    lock.add(Known({"https://a": Entry("1" * 64)}))
    lock.add(Known({"https://b": Entry("2" * 64, 7)}, {"r/i:t": {"amd64": Entry("3" * 64)}}))
    found = lock.read()
    assert set(found.files) == {"https://a", "https://b"}
    assert found.images["r/i:t"]["amd64"].digest == f"sha256:{'3' * 64}"
    assert [each.name for each in (tmp_path / "etc").iterdir()] == ["lock.yaml"]
    with pytest.raises(errors.ConfigInvalid, match="contradict"):
        lock.add(Known({"https://a": Entry("9" * 64)}))
    assert lock.read() == found


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "[]", "{", "format: 2", "files: {}", "format: 1\nfiles: 7",
        "format: 1\nfiles: {u: {sha256: abc}}", "format: 1\nfiles: {u: {}}", "format: 1\nimages: {i: 7}",
        f"format: 1\nfiles: {{u: {{sha256: {'1' * 63}g}}}}",
        f"format: 1\nfiles: {{u: {{sha256: {'a' * 64}, size: -1}}}}",
    ],
)  # fmt: skip
def test_a_lock_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.yaml").write_text(text)
    with pytest.raises(errors.ConfigInvalid, match="is not valid") as caught:
        known.UserLock(tmp_path / "lock.yaml").read()
    assert caught.value.hint


def test_a_reference_is_a_full_one() -> None:
    for name in ("pause", "pause:3", "r.io/pause", "r.io/pause@sha256:00", "r.io:5000/pause"):
        with pytest.raises(ValueError, match="not a full image name"):
            Reference.parse(name)
    assert Reference.parse("r.io:5000/a/b:t") == Reference("r.io:5000", "a/b", "t")
