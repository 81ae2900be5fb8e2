"""Where words go: data to stdout, everything for people to stderr. Neither may ever end in a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

from kubeboot.cli import terminal


class Stream:
    """A text stream that may be closed, full or unable to encode. Safe to use from several threads."""

    def __init__(self, raw: TextIO | None) -> None:
        self._raw = raw
        self._lock = threading.RLock()
        self.failed: OSError | None = None

    def write(self, text: str) -> None:
        """Write and flush. A reader that left silences the stream; any other error is kept in `failed`."""
        with self._lock:
            if self._raw is None:
                return
            try:
                self._raw.write(_encodable(text, self._raw))
                self._raw.flush()
            except BrokenPipeError:
                self._abandon()
            except OSError as error:
                self.failed = error
                self._abandon()
            except ValueError:
                self._raw = None

    def _abandon(self) -> None:
        """Point the descriptor elsewhere, so that the interpreter's last flush does not complain."""
        with contextlib.suppress(OSError, ValueError):
            if self._raw is not None:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._raw.fileno())
                os.close(null)
        self._raw = None


def _encodable(text: str, raw: TextIO) -> str:
    encoding = getattr(raw, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


class Console:
    """stdout and stderr of one run."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.out = Stream(sys.stdout)
        self.err = Stream(sys.stderr)

    def data(self, text: str) -> None:
        """What was asked for, one or more whole lines, to stdout."""
        self.out.write(text if text.endswith("\n") else f"{text}\n")

    def say(self, text: str) -> None:
        """What a person should know, to stderr."""
        self.err.write(f"{text}\n")

    def stderr(self, color: terminal.ColorChoice) -> terminal.Terminal:
        """What stderr can show."""
        return terminal.look(sys.stderr, self._environ, color)

    def stdout(self, color: terminal.ColorChoice) -> terminal.Terminal:
        """What stdout can show."""
        return terminal.look(sys.stdout, self._environ, color)
