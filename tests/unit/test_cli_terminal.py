"""What a terminal can show, judged by the stream, the environment and the user's word."""

from __future__ import annotations

import io
import os
import pty
from collections.abc import Iterator
from typing import Any, TextIO

import pytest

from kubeboot.cli import console, terminal
from kubeboot.cli.terminal import Terminal


@pytest.fixture
def tty() -> Iterator[TextIO]:
    """A real terminal, 80 columns wide unless it is told otherwise."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


PLAIN = {"TERM": "xterm-256color", "COLUMNS": "80"}


@pytest.mark.parametrize(
    ("environ", "choice", "color", "smart"),
    [
        (PLAIN, "auto", True, True),
        ({**PLAIN, "NO_COLOR": "1"}, "auto", False, True),
        ({**PLAIN, "NO_COLOR": ""}, "auto", True, True),
        ({**PLAIN, "NO_COLOR": "1"}, "always", True, True),
        ({**PLAIN, "NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", False, True),
        (PLAIN, "never", False, True),
        ({"TERM": "dumb"}, "auto", False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, "auto", True, False),
        ({}, "auto", False, False),
        ({**PLAIN, "KUBEBOOT_NO_PROGRESS": "1"}, "auto", True, False),
    ],
)
def test_a_terminal(tty: TextIO, environ: dict[str, str], choice: Any, color: bool, smart: bool) -> None:
    found = terminal.look(tty, environ, choice)
    assert (found.color, found.smart, found.utf8) == (color, smart, True)


@pytest.mark.parametrize(
    ("environ", "choice", "color"),
    [
        (PLAIN, "auto", False),
        (PLAIN, "always", True),
        ({**PLAIN, "FORCE_COLOR": "1"}, "auto", True),
        ({**PLAIN, "FORCE_COLOR": "0"}, "auto", False),
        ({**PLAIN, "FORCE_COLOR": "1"}, "never", False),
    ],
)
def test_a_pipe(environ: dict[str, str], choice: Any, color: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    found = terminal.look(stream, environ, choice)
    assert (found.color, found.smart, found.width) == (color, False, 0)


@pytest.mark.parametrize(
    ("encoding", "utf8"),
    [("utf-8", True), ("UTF-8", True), ("utf8", True), ("ascii", False), ("latin-1", False)],
)
def test_the_encoding_chooses_the_marks(encoding: str, utf8: bool) -> None:
    found = terminal.look(io.TextIOWrapper(io.BytesIO(), encoding=encoding), PLAIN)
    assert found.utf8 is utf8
    assert found.marks == (terminal.UNICODE if utf8 else terminal.ASCII)


def test_no_stream_at_all_and_a_closed_one() -> None:
    assert terminal.look(None, PLAIN) == Terminal(utf8=False)
    closed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    closed.close()
    assert terminal.look(closed, PLAIN).smart is False


@pytest.mark.parametrize(("columns", "width"), [("120", 120), ("0", 0), ("x", 0), ("-5", 0), ("²", 0)])
def test_the_width(tty: TextIO, columns: str, width: int) -> None:
    found = terminal.look(tty, {"TERM": "xterm", "COLUMNS": columns}).width
    assert found == (width or os.get_terminal_size(tty.fileno()).columns)


def test_ascii_marks_are_ascii() -> None:
    assert all(str(getattr(terminal.ASCII, field)).isascii() for field in terminal.Marks.__dataclass_fields__)


def test_paint_paints_only_where_there_is_colour() -> None:
    assert Terminal().paint("bad", "x") == "x"
    assert Terminal(color=True).paint("bad", "x") == "\x1b[31;1mx\x1b[0m"
    assert Terminal(color=True).paint("bad", "") == ""


class Broken(io.TextIOWrapper):
    """A stream whose reader is gone, or whose disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


@pytest.mark.parametrize(("error", "kept"), [(BrokenPipeError(), False), (OSError(28, "full"), True)])
def test_a_stream_that_fails_is_silent_from_then_on(error: OSError, kept: bool) -> None:
    stream = console.Stream(Broken(error))
    stream.write("a")
    stream.write("b")
    assert (stream.failed is error) is kept


def test_what_a_stream_cannot_encode_is_escaped() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console.Stream(raw).write("✓ \udcff\n")
    assert raw.buffer.getvalue() == b"\\u2713 \\udcff\n"  # type: ignore[attr-defined]
    console.Stream(None).write("nobody hears it")
