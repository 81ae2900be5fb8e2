"""A bundle gives back what was packed, and refuses to be anything but what was written."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.artifacts import api, bundle, members, oci, pack
from tests.unit.bundle_support import BROUGHT, CONTENTS, KUBELET, MANIFEST, OWN, PAUSE, SHARED


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "bundle.tar"
    pack.write(path, CONTENTS)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "bundle.tar"


def opened(path: Path, data: bytes) -> bundle.Bundle:
    path.write_bytes(data)
    return bundle.Bundle(path)


def refusal(found: bundle.Bundle) -> str:
    with pytest.raises(errors.ConfigInvalid) as caught:
        found.verify()
    assert caught.value.reason == "KB_ARTIFACT"
    assert str(found.path) in caught.value.message
    return caught.value.message


def contents_of(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def assembled(parts: dict[str, bytes]) -> bytes:
    """A tar as kubeboot writes it, with the index's sum made right."""
    parts = parts | {oci.SUM_NAME: bundle.sum_line(parts[oci.INDEX_NAME])}
    first = [oci.LAYOUT_NAME, oci.INDEX_NAME, oci.SUM_NAME]
    names = [*first, *sorted(set(parts) - set(first))]
    return (
        b"".join(oci.header(n, len(parts[n])) + parts[n] + oci.padding(len(parts[n])) for n in names)
        + oci.END
    )


def test_the_catalog_is_what_was_packed(written: bytes, scratch: Path) -> None:
    catalog = opened(scratch, written).catalog()
    assert (catalog.kubernetes_version, catalog.arch) == ("v1.37.1", "amd64")
    assert [each.name for each in catalog.binaries] == ["cni-bridge", "kubelet"]
    kubelet = catalog.binary("kubelet")
    assert (kubelet.version, kubelet.path, kubelet.size) == (
        "v1.37.1",
        "/usr/local/bin/kubelet",
        len(KUBELET),
    )
    assert kubelet.sha256 == hashlib.sha256(KUBELET).hexdigest()
    assert catalog.image("etcd").name == "registry.k8s.io/etcd:3.7.3-0"
    assert catalog.image("etcd").size > SHARED.size + OWN.size


def test_a_good_bundle_verifies_and_gives_its_binaries(written: bytes, scratch: Path) -> None:
    found = opened(scratch, written)
    found.verify()
    assert b"".join(found.binary(found.catalog().binary("kubelet"))) == KUBELET


def test_an_image_comes_as_a_layout_of_its_own(written: bytes, scratch: Path) -> None:
    found = opened(scratch, written)
    image = found.catalog().image("coredns")
    parts = contents_of(b"".join(found.image(image)))
    index = json.loads(parts["index.json"])
    assert [each["digest"] for each in index["manifests"]] == [image.digest]
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == image.name
    blobs = {name: data for name, data in parts.items() if name.startswith("blobs/")}
    assert all(oci.blob_name(oci.digest(data)) == name for name, data in blobs.items())
    manifest = json.loads(blobs[oci.blob_name(image.digest)])
    assert blobs.keys() == {
        oci.blob_name(each) for each in (image.digest, manifest["config"]["digest"], SHARED.digest)
    }


def test_places_lead_to_the_same_bytes(written: bytes, scratch: Path) -> None:
    found = opened(scratch, written)
    for wanted in (*found.catalog().images, *found.catalog().binaries):
        parts = found.places(wanted)
        taken = (part if isinstance(part, bytes) else written[part[0] : sum(part)] for part in parts)
        stream = found.binary(wanted) if isinstance(wanted, api.Binary) else found.image(wanted)
        assert b"".join(taken) == b"".join(stream)


def test_an_image_keeps_the_manifest_that_it_brought(written: bytes, scratch: Path) -> None:
    found = opened(scratch, written)
    image = found.catalog().image("pause")
    assert image.digest == MANIFEST.digest
    assert image.size == MANIFEST.size + PAUSE.size + OWN.size
    parts = contents_of(b"".join(found.image(image)))
    assert json.loads(parts["index.json"])["manifests"][0]["mediaType"] == BROUGHT["mediaType"]
    assert parts[oci.blob_name(MANIFEST.digest)] == MANIFEST.source


def test_shared_layers_are_stored_once(written: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        names = tar.getnames()
    assert names.count(oci.blob_name(SHARED.digest)) == 1
    assert len(names) == len(set(names))


def test_the_same_contents_in_any_order_give_the_same_bytes(written: bytes, tmp_path: Path) -> None:
    turned = dataclasses.replace(CONTENTS, images=CONTENTS.images[::-1], binaries=CONTENTS.binaries[::-1])
    sum_ = pack.write(tmp_path / "b", turned)
    assert (tmp_path / "b").read_bytes() == written
    assert sum_ == hashlib.sha256(written).hexdigest()


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_refused(written: bytes, scratch: Path, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(written) - 1))
    flip = data.draw(st.integers(1, 255))
    refusal(opened(scratch, written[:where] + bytes([written[where] ^ flip]) + written[where + 1 :]))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_truncation_and_any_addition_is_refused(
    written: bytes, scratch: Path, data: st.DataObject
) -> None:
    refusal(opened(scratch, written[: data.draw(st.integers(0, len(written) - 1))]))
    refusal(opened(scratch, written + data.draw(st.binary(min_size=1, max_size=20_000))))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_two_exchanged_blocks_are_refused(written: bytes, scratch: Path, data: st.DataObject) -> None:
    blocks = [written[at : at + oci.BLOCK] for at in range(0, len(written), oci.BLOCK)]
    one, other = (data.draw(st.integers(0, len(blocks) - 1)) for _ in range(2))
    blocks[one], blocks[other] = blocks[other], blocks[one]
    changed = b"".join(blocks)
    if changed != written:
        refusal(opened(scratch, changed))


@pytest.mark.parametrize("blob", [SHARED.digest, OWN.digest, oci.digest(KUBELET), oci.digest(b"{}")])
def test_a_missing_blob_is_named(written: bytes, scratch: Path, blob: str) -> None:
    parts = contents_of(written)
    del parts[oci.blob_name(blob)]
    assert oci.blob_name(blob) in refusal(opened(scratch, assembled(parts)))


def test_an_extra_blob_is_named_though_its_sum_is_right(written: bytes, scratch: Path) -> None:
    extra = oci.blob_name(oci.digest(b"extra"))
    message = refusal(opened(scratch, assembled(contents_of(written) | {extra: b"extra"})))
    assert f"{extra} is extra" in message


def test_a_blob_under_anothers_name_is_refused_and_named(written: bytes, scratch: Path) -> None:
    parts = contents_of(written)
    name = oci.blob_name(SHARED.digest)
    parts[name] = bytes(reversed(parts[name]))
    assert f"{name} is damaged" in refusal(opened(scratch, assembled(parts)))


def test_a_member_twice_is_refused(written: bytes, scratch: Path) -> None:
    twice = oci.header(oci.LAYOUT_NAME, len(oci.LAYOUT)) + oci.LAYOUT + oci.padding(len(oci.LAYOUT))
    assert "twice" in refusal(opened(scratch, twice + written))


@pytest.mark.parametrize(
    "index",
    [
        b"[]",
        b"not json",
        b"{}",
        b'{"manifests": [{}], "annotations": {"kubeboot.io/bundle-format": "1"}}',
        b'{"manifests": [], "annotations": {"kubeboot.io/bundle-format": "2"}}',
        b'{"manifests": [{"digest": 7, "size": 1, "mediaType": ""}], "annotations": {}}',
    ],
)
def test_an_index_of_another_form_is_refused(written: bytes, scratch: Path, index: bytes) -> None:
    found = opened(scratch, assembled(contents_of(written) | {oci.INDEX_NAME: index}))
    assert oci.INDEX_NAME in refusal(found)
    with pytest.raises(errors.ConfigInvalid):
        found.catalog()


@pytest.mark.parametrize("name", ["kubelet", "etcd"])
def test_damage_shows_before_the_last_chunk(
    written: bytes, scratch: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "CHUNK", 64)
    victim = KUBELET if name == "kubelet" else b"own layer " * 100
    found = opened(scratch, written.replace(victim, victim[:-1] + b"?"))
    chunks = (
        found.binary(found.catalog().binary(name))
        if name == "kubelet"
        else found.image(found.catalog().image(name))
    )
    given: list[bytes] = []
    with pytest.raises(errors.ConfigInvalid, match="damaged"):
        given.extend(chunks)
    assert given and b"?" not in b"".join(given)


def test_an_image_that_is_not_there_is_refused(written: bytes, scratch: Path) -> None:
    found = opened(scratch, written)
    other = dataclasses.replace(found.catalog().image("etcd"), name="registry.k8s.io/etcd:4")
    with pytest.raises(errors.ConfigInvalid, match="has no image"):
        list(found.image(other))


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 1000])
def test_something_else_is_no_bundle(scratch: Path, data: bytes) -> None:
    refusal(opened(scratch, data))


def test_a_bundle_that_is_not_there_says_so(tmp_path: Path) -> None:
    absent = bundle.Bundle(tmp_path / "none.tar")
    for ask in (absent.verify, absent.catalog, absent.identity):
        with pytest.raises(errors.ConfigInvalid, match=r"none\.tar: cannot be read: No such file") as caught:
            ask()
        assert caught.value.hint


def test_identity_changes_with_the_file(written: bytes, scratch: Path) -> None:
    before = opened(scratch, written).identity()
    assert bundle.Bundle(scratch).identity() == before
    os.utime(scratch, ns=(1, 1))
    assert bundle.Bundle(scratch).identity() != before


def test_a_failed_write_leaves_the_old_bundle_and_nothing_else(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first")
    content = pack.Blob.of(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"later")
    (tmp_path / "bundle.tar").write_bytes(b"old")
    changed = dataclasses.replace(CONTENTS, binaries=(pack.Binary("a", "1", "/a", content),))
    with pytest.raises(errors.ConfigInvalid, match="changed while it was read"):
        pack.write(tmp_path / "bundle.tar", changed)
    assert (tmp_path / "bundle.tar").read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bundle.tar", "file"]
