"""The generic steps about what a source offers: binaries and images, of the right sum or none."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.engine.step import Drift, Later, Ok, View
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Image
from kubeboot.kube.api import NoApi
from kubeboot.steps import basic, offered
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource
from tests.sim.basic_support import check, target
from tests.sim.contract import converges


def binary(source: FakeSource) -> basic.EnsureBinary:
    wanted = source.catalog().binary("kubectl")
    return basic.EnsureBinary(id="b", title="Install", on="cp-1", binary=wanted, source=source)


def with_binary(data: bytes, mode: int = 0o755) -> FakeHost:
    host = FakeHost()
    host.files["/usr/local/bin/kubectl"] = File(data, mode)
    return host


BINARIES = {
    "absent": (FakeHost, "install kubectl 1.0 as /usr/local/bin/kubectl"),
    "other bytes": (lambda: with_binary(b"old"), "replace /usr/local/bin/kubectl by kubectl 1.0"),
    "other mode": (lambda: with_binary(b"kubectl 1.0 ", 0o700), "/usr/local/bin/kubectl: mode 0700 → 0755"),
}


@pytest.mark.parametrize("case", BINARIES)
def test_a_binary_converges_and_what_was_there_is_put_back(case: str) -> None:
    made, words = BINARIES[case]
    assert converges(binary(FakeSource()), made()).summary == words


def test_a_binary_with_the_right_sum_is_not_asked_for() -> None:
    source = FakeSource()
    assert check(binary(source), with_binary(b"kubectl 1.0 ")) == Ok()
    assert source.asked == []


def test_bytes_with_the_wrong_sum_never_arrive() -> None:
    good, bad = FakeSource(), FakeSource("tampered")
    host = with_binary(b"old")
    with pytest.raises(CommandFailed):
        dataclasses.replace(binary(good), source=bad).apply(target(host), Values())
    assert host.files["/usr/local/bin/kubectl"].data == b"old"


def test_a_step_prints_and_compares_without_its_source() -> None:
    step = binary(FakeSource())
    assert "FakeSource" not in repr(step)
    assert step == binary(FakeSource())
    assert hash(step) == hash(binary(FakeSource()))


def image(source: FakeSource, pinned: bool = True) -> basic.EnsureImage:
    wanted = source.catalog().image("pause")
    return basic.EnsureImage(id="i", title="Import", on="cp-1", image=wanted, source=source, pinned=pinned)


def with_containerd() -> FakeHost:
    host = FakeHost()
    host.files["/etc/systemd/system/containerd.service"] = File(b"[Service]\n")
    host.systemd.start("containerd.service")
    return host


def test_images_cannot_be_known_before_containerd_runs() -> None:
    assert check(image(FakeSource()), FakeHost()) == Later("containerd")


def test_one_look_is_enough_for_images_that_are_there_and_right() -> None:
    host, look = with_containerd(), basic.LookForImages(id="l", title="Look", on="cp-1")
    wanted = image(FakeSource())
    wanted.apply(target(host), Values())
    vals = Values()
    vals.put(offered.SEEN, look.read(View(host, NoApi()), offered.SEEN))
    host.image_table.clear()
    assert wanted.check(View(host, NoApi()), vals) == Ok()
    vals.put(offered.SEEN, look.read(View(host, NoApi()), offered.SEEN))
    assert isinstance(wanted.check(View(host, NoApi()), vals), Drift)


def test_an_image_converges_and_goes_again() -> None:
    assert converges(image(FakeSource()), with_containerd()).summary == "import registry.k8s.io/pause:1.0"


@pytest.mark.parametrize(
    ("digest", "pinned", "words"), [("sha256:0", True, "replace"), ("", False, "pin"), ("", True, None)]
)
def test_an_image_by_that_name_is_looked_at_closely(digest: str, pinned: bool, words: str | None) -> None:
    source, host = FakeSource(), with_containerd()
    wanted = source.catalog().image("pause")
    host.image_table[wanted.name] = Image(wanted.name, digest or wanted.digest, pinned)
    found = check(image(source), host)
    assert found.summary.startswith(words) if isinstance(found, Drift) and words else found == Ok()
    image(source).apply(target(host), Values())
    assert host.image_table[wanted.name] == Image(wanted.name, wanted.digest, True)


def test_a_pinned_image_satisfies_who_does_not_ask_for_it() -> None:
    source, host = FakeSource(), with_containerd()
    image(source).apply(target(host), Values())
    assert check(image(source, pinned=False), host) == Ok()
