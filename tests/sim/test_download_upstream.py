"""Upstream as a source: resolved once, locked, fetched, verified, kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts import known, oci, pinning
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.stock import Stock
from tests.fakes import registry
from tests.sim import internet
from tests.sim.internet import User, a_release, members, using


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
