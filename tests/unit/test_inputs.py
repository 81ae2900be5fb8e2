"""Files that somebody named: no more than so many bytes, no waiting for nobody, little memory."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from kubeboot import inputs


def test_a_small_file_costs_little_memory_whatever_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert inputs.read(tmp_path / "a", 256 << 20) == b"x" * 1000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_no_more_is_read_than_is_allowed() -> None:
    assert inputs.read("/dev/zero", 200_000) == bytes(200_000)


def test_a_pipe_is_read_to_its_end_also_when_its_writer_comes_late(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Timer(0.05, lambda: path.write_bytes(b"y" * 100_000))
    writer.start()
    assert inputs.read(path, 1 << 20) == b"y" * 100_000
    writer.join()


def test_a_pipe_that_nobody_writes_into_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.01)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Nobody writes"):
        inputs.read(tmp_path / "pipe", 10)


@pytest.mark.parametrize("name", ["/nonexistent", "/etc", "a\0b", ""])
def test_what_is_no_file_is_an_oserror(name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        inputs.read(name, 10)
