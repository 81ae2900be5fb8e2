"""What the terminal can show: colour, a live display, which characters, how wide."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal, TextIO

ColorChoice = Literal["auto", "always", "never"]
Paint = Literal["good", "bad", "warn", "dim", "bold", "note"]

_CODES: Mapping[Paint, str] = {
    "good": "32",
    "bad": "31;1",
    "warn": "33",
    "dim": "2",
    "bold": "1",
    "note": "36",
}


@dataclasses.dataclass(frozen=True)
class Marks:
    """The signs in front of lines; colour is never the only signal."""

    done: str
    failed: str
    waiting: str
    at_most: str
    dot: str
    cut: str


UNICODE = Marks(done="✓", failed="✗", waiting="…", at_most="≤ ", dot="·", cut="…")
ASCII = Marks(done="*", failed="x", waiting=".", at_most="up to ", dot="-", cut="~")


@dataclasses.dataclass(frozen=True)
class Terminal:
    """How to write to one stream. `width` is 0 where lines have no end (a pipe, a file)."""

    color: bool = False
    smart: bool = False
    utf8: bool = True
    width: int = 0

    @property
    def marks(self) -> Marks:
        return UNICODE if self.utf8 else ASCII

    def paint(self, how: Paint, text: str) -> str:
        """The text in a colour, or as it is where there is none."""
        return f"\x1b[{_CODES[how]}m{text}\x1b[0m" if self.color and text else text


def look(stream: TextIO | None, environ: Mapping[str, str], color: ColorChoice = "auto") -> Terminal:
    """Judge a stream by itself, the environment's conventions and the user's word."""
    tty = stream is not None and _is_tty(stream)
    dumb = environ.get("TERM", "dumb") == "dumb"
    return Terminal(
        color=_wants_color(environ, color, tty and not dumb),
        smart=tty and not dumb and not environ.get("KUBEBOOT_NO_PROGRESS"),
        utf8=(getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-") in ("utf-8", "utf8"),
        width=_width(stream, environ) if tty else 0,
    )


def _wants_color(environ: Mapping[str, str], color: ColorChoice, able: bool) -> bool:
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR", "")
    return able or forced not in ("", "0")


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def _width(stream: TextIO | None, environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and len(columns) <= 5 and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream is not None else 0
    except (ValueError, OSError):
        return 80
