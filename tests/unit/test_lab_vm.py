"""The lab's virtual machine as data, and the processes that are its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lablib import (
    debian_mirror,
    machine_host,
    machine_image,
    machine_labs,
    machine_state,
    machine_vm,
    machine_vm_image,
)
from lablib.machine_state import Lab, Machine
from lablib.machine_vm_image import Image

from kubeboot import errors

CP = Machine("cp-1", "control_plane", "192.168.56.11")
APT = [
    "bookworm main https://elsewhere.example/repo Somebody",
    "bookworm main http://mirror.example/debian/ Debian",
    "bookworm contrib http://mirror.example/debian/ Debian",
    "bookworm-updates main http://other.example/debian/ Debian",
    "bookworm-security main http://mirror.example/secure/ Debian",
]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("KUBEBOOT_LAB_STATE", str(tmp_path))
    made = Lab("t", "qemu", str(tmp_path), "192.168.56.0/24", "", (CP,))
    machine_state.save(made)
    return made


@pytest.fixture
def qemu(lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is taken for the lab's QEMU."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = machine_host.started(process.pid)
        (lab.directory / "qemu.pid").write_text(f"{process.pid} {began}\n")
        yield process
        process.kill()


def test_the_machine_has_two_disks_two_nics_and_no_port_that_another_could_want(lab: Lab) -> None:
    argv = machine_vm.command(lab, CP, Image(Path("/image")), "tcg")
    line = " ".join(argv)
    assert line.count("-device nvme,") == line.count("-device virtio-net-pci,") == 2
    assert "hostfwd=tcp:127.0.0.1:0-:22" in line
    assert "net=192.168.56.0/24,dhcpstart=192.168.56.11" in line
    assert "systemd.hostname=cp-1" in line and "-kernel /image/vmlinuz" in line
    assert all(
        f"{lab.directory}/{name}" in line for name in ("serial.log", "disk.qcow2", "share.raw", "monitor")
    )
    assert "disk.raw" not in line, "the image in the cache is for all, and never written"


def test_only_the_process_that_was_started_is_ended(lab: Lab, qemu: subprocess.Popen[bytes]) -> None:
    assert machine_vm.running(lab)
    machine_vm.stop(lab)
    assert qemu.poll() is not None or qemu.wait(5) is not None
    assert not machine_vm.running(lab)
    machine_vm.stop(lab)


def test_another_process_with_its_number_is_left_alone(lab: Lab) -> None:
    (lab.directory / "qemu.pid").write_text(f"{os.getpid()} 1\n")
    assert not machine_vm.running(lab)
    machine_vm.stop(lab)


def test_a_qemu_that_was_killed_while_it_was_set_up_is_not_taken_for_one(lab: Lab) -> None:
    assert not machine_vm.running(lab)
    (lab.directory / "qemu.pid").write_text("")
    assert not machine_vm.running(lab)


def test_without_a_device_for_it_there_is_no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_vm.os, "access", lambda path, mode: False)
    assert machine_vm.accelerator(Image(Path("/image"))) == "tcg"


@pytest.mark.parametrize(
    ("said", "kind"), [("VFS: Unable to mount root fs on unknown-block", "kvm"), ("", "tcg")]
)
def test_kvm_counts_where_a_kernel_boots_with_it(
    said: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu = tmp_path / machine_vm.QEMU
    qemu.write_text(f"#!/bin/sh\necho '{said}'\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_vm.os, "access", lambda path, mode: True)
    assert machine_vm.accelerator(Image(Path("/image"))) == kind


def test_one_machine_is_all_that_it_can_be(lab: Lab) -> None:
    with pytest.raises(errors.UsageProblem, match="one machine"):
        machine_labs.up("other", 1, 1, "qemu", None)


def test_the_disk_is_made_by_scripts_and_all_of_them_count_for_its_key() -> None:
    assert {path.name for path in machine_vm_image.FILES.iterdir()} == {"disk"}
    text = (machine_vm_image.FILES / "disk").read_text()
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    called = set(re.findall(r"^/lab/(\w+)", text, re.MULTILINE))
    assert called | {"disk"} == {path.name for path in machine_vm_image.SCRIPTS}
    assert (machine_image.FILES / "box").stat().st_mode & 0o100


@pytest.mark.parametrize(
    ("suite", "uri"),
    [
        ("bookworm", "http://mirror.example/debian/"),
        ("bookworm-security", "http://mirror.example/secure/"),
        ("trixie", ""),
    ],
)
def test_debian_is_had_where_this_computer_has_it(suite: str, uri: str) -> None:
    assert debian_mirror.chosen(APT, suite) == uri


def test_before_apts_first_update_the_address_tells() -> None:
    rows = [row.rpartition(" ")[0] for row in APT]
    assert debian_mirror.chosen(rows, "bookworm") == "http://mirror.example/debian/"


def test_a_mirror_that_is_named_is_all_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(debian_mirror.OVERRIDE, "http://mine.example/debian/")
    assert debian_mirror.archive("bookworm") == "http://mine.example/debian"
    assert debian_mirror.security("bookworm-security") == "http://mine.example/debian-security"
