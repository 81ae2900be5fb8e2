"""What is sent to a machine arrives whole or not at all, and goes on where it was cut."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.host import commands, scripts
from kubeboot.host.api import Lost
from kubeboot.host.sending import part
from kubeboot.host.ssh import images
from kubeboot.host.ssh.host import SshHost
from tests.fakes import proxy as proxies
from tests.fakes.proxy import Fault
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import host_key, reached


def test_a_truncated_upload_leaves_nothing_and_can_be_repeated(sshd: Sshd, tmp_path: Path) -> None:
    chunks = [bytes([number]) * (1 << 20) for number in range(20)]
    sum = hashlib.sha256(b"".join(chunks)).hexdigest()

    def breaking() -> Iterator[bytes]:
        yield from chunks[:10]
        sshd.drop()
        yield from chunks[10:]

    path = tmp_path / "bin" / "kubelet"
    with reached(sshd) as host:
        with pytest.raises(Lost):
            host.put(str(path), breaking(), sum)
        assert not path.exists()
        host.put(str(path), chunks, sum)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sum


@pytest.mark.parametrize("left", [b"x" * 1000, b"other bytes" * 1000])
def test_an_upload_goes_on_where_it_was_cut_unless_that_is_something_else(
    sshd: Sshd, tmp_path: Path, left: bytes
) -> None:
    data = b"x" * 200_000
    sum = hashlib.sha256(data).hexdigest()
    path, there = tmp_path / "tool", tmp_path / part("tool", sum)
    there.write_bytes(left)
    with reached(sshd) as host:
        if left[0] != data[0]:
            with pytest.raises(Lost, match="what an earlier upload left"):
                host.put(str(path), (data,), sum)
            assert list(tmp_path.glob(".tool*")) == []
        host.put(str(path), (data,), sum)
    assert path.read_bytes() == data
    assert list(tmp_path.glob(".tool*")) == []


def test_bytes_that_come_late_by_an_earlier_connection_spoil_no_upload(tmp_path: Path) -> None:
    """They come after it was measured how much is there, and before the upload goes on."""
    data = b"0123456789" * 1000
    there = tmp_path / "part"
    there.write_bytes(data[:1500])
    tell = scripts.receive(str(tmp_path / "tool"), str(there), 1000)
    subprocess.run(tell.argv, input=data[1000:], check=True)
    assert there.read_bytes() == data


class Images:
    """A containerd on the machine, which takes one image; and a workstation that sends it."""

    data = b"".join(hashlib.sha256(bytes([n])).digest() * (1 << 15) for n in range(4))
    names = ("registry.example/etcd:1",)

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.imported, self.parts = folder / "imported", folder / "images"
        sum = hashlib.sha256(self.data).hexdigest()
        script = 'cat >"$1.new" && sha256sum <"$1.new" | grep -q "$2" && mv "$1.new" "$1"'
        tell = scripts.Tell(scripts.sh("ctr", script, str(self.imported), sum))
        monkeypatch.setattr(commands, "import_images", lambda pinned: tell)
        monkeypatch.setattr(images, "PLACE", str(self.parts))

    def chunks(self) -> Iterator[bytes]:
        return (self.data[at : at + 65536] for at in range(0, len(self.data), 65536))

    def into(self, host: SshHost) -> None:
        host.import_images(self.chunks(), self.names, pinned=True)

    def left(self) -> list[int]:
        return [path.stat().st_size for path in self.parts.glob(".*")] if self.parts.exists() else []


def test_an_image_is_streamed(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Images(tmp_path, monkeypatch)
    with reached(sshd) as host:
        made.into(host)
    assert made.imported.read_bytes() == made.data and not made.parts.exists()


def test_an_image_that_was_cut_goes_on_by_way_of_a_file_in_this_run_and_the_next(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cuts = Images(tmp_path, monkeypatch), [Fault("cut", 1 << 20), Fault("cut", 3 << 20)]
    with proxies.through(sshd.port, cuts) as proxy:
        config = sshd.ssh_config.replace(f"Port {sshd.port}", f"Port {proxy.port}")
        key = host_key(sshd)
        (sshd.folder / "known_hosts").write_text(f"[127.0.0.1]:{proxy.port} {key}\n")
        with reached(sshd, config=config) as host:
            for _ in cuts:
                with pytest.raises(Lost):
                    made.into(host)
        (left,) = made.left()
        before = proxy.passed
        with reached(sshd, config=config) as host:
            made.into(host)
    assert left > 1 << 19 and proxy.passed - before < len(made.data) - left + (1 << 18)
    assert made.imported.read_bytes() == made.data and made.left() == []


def test_what_is_left_of_another_image_is_not_gone_on_with(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Images(tmp_path, monkeypatch)
    made.parts.mkdir()
    Path(images.places(made.names)[1]).write_bytes(b"other" * 1000)
    with reached(sshd) as host:
        with pytest.raises(Lost, match="what an earlier upload left"):
            made.into(host)
        assert made.left() == []
        made.into(host)
    assert made.imported.read_bytes() == made.data and made.left() == []


def test_what_came_of_a_source_that_failed_is_not_gone_on_with(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end has a byte too many, so that nobody takes it for the whole."""
    made = Images(tmp_path, monkeypatch)
    made.parts.mkdir()
    Path(images.places(made.names)[1]).write_bytes(made.data[:1000])

    def failing() -> Iterator[bytes]:
        yield made.data[:2000]
        raise RuntimeError("the mirror broke off")

    with reached(sshd) as host:
        with pytest.raises(RuntimeError, match="broke off"):
            host.import_images(failing(), made.names, pinned=True)
        assert made.left() == []
