"""Files that are replaced at once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kubeboot import outputs


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with outputs.replacing(path, 0o640) as file:
        file.write(b"new")
        file.flush()
        (beside,) = set(tmp_path.iterdir()) - {path}
        assert path.read_bytes() == b"old" and stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_one_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), outputs.replacing(path):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_name_alone_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with outputs.replacing("file") as file:
        file.write(b"here")
    assert (tmp_path / "file").read_bytes() == b"here"
