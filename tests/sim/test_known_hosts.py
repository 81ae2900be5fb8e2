"""ssh's known-hosts files: plain, several names, ports, hashed, broken lines, and a file that changes."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from kubeboot.host.ssh import known_hosts

KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43,
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "E" * 43,
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    hashed = paramiko.HostKeys.hash_host("secret.example")
    path = tmp_path / "known_hosts"
    path.write_text(
        f"# a comment\n\na.example,10.0.0.1 {KEYS[0]}\n[b.example]:2222 {KEYS[1]} someone\n"
        f"{hashed} {KEYS[1]}\nbroken.example ssh-ed25519 no-base64!\nshort.example\n"
        f"@revoked r.example {KEYS[0]}\n"
    )
    return path


def found(file: Path, name: str) -> list[str]:
    return [f"{key.get_name()} {key.get_base64()}" for key in known_hosts.find(file, name)]


@pytest.mark.parametrize("name", ["a.example", "10.0.0.1"])
def test_each_name_of_a_line_counts(file: Path, name: str) -> None:
    assert found(file, name) == [KEYS[0]]


@pytest.mark.parametrize("name", ["[b.example]:2222", "secret.example"])
def test_ports_and_hashed_names_are_understood(file: Path, name: str) -> None:
    assert found(file, name) == [KEYS[1]]


@pytest.mark.parametrize("name", ["b.example", "broken.example", "short.example", "r.example", "other"])
def test_what_is_no_key_for_a_host_is_left_out(file: Path, name: str) -> None:
    assert found(file, name) == []


def test_a_file_that_changes_is_read_again_and_none_is_no_error(file: Path) -> None:
    assert found(file, "new.example") == []
    with file.open("a") as lines:
        lines.write(f"new.example {KEYS[0]}\n")
    assert found(file, "new.example") == [KEYS[0]]
    file.unlink()
    assert found(file, "new.example") == []
