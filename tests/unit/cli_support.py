"""Runs the command line in this process, with its own streams, environment and log directory."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from unittest import mock

from kubeboot import log
from kubeboot.cli import app
from kubeboot.cli.runtime import Runtime
from kubeboot.config import loader

GOLDEN = pathlib.Path(__file__).parent / "golden"


@dataclasses.dataclass(frozen=True)
class Ran:
    """How an invocation ended. `log` is the text of its log, None when it left none."""

    code: int
    out: str
    err: str
    log: str | None = None


class Tty(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def run(
    *arguments: str,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    default_file: pathlib.Path = pathlib.Path("/nonexistent/cluster.yaml"),
    tty: bool = False,
) -> Ran:
    """Run `kubeboot ARGUMENTS`."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    text = stdin.encode() if isinstance(stdin, str) else stdin
    source = (Tty if tty else io.TextIOWrapper)(io.BytesIO(text), encoding="utf-8", errors="surrogateescape")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KUBEBOOT_", "_KUBEBOOT"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        clean.pop(name, None)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(environment({**clean, **(env or {})}))
        stack.enter_context(mock.patch.object(log, "directory", lambda *_: pathlib.Path(directory) / "logs"))
        stack.enter_context(mock.patch.object(loader, "DEFAULT_FILE", default_file))
        stack.enter_context(mock.patch.object(sys, "stdin", source))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        code = app.main(arguments, Runtime())
        logs = list(pathlib.Path(directory).glob("logs/*.log"))
        written = logs[0].read_text() if logs else None
        told = [_text(stream).replace(directory, "DIR") for stream in (out, err)]
    return Ran(code, told[0], told[1], written)


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """These variables alone, and what there was afterwards; only what differs is set."""
    before = dict(os.environ)
    _become(wanted)
    try:
        yield
    finally:
        _become(before)


def _become(wanted: Mapping[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


def golden(name: str, text: str) -> None:
    """Compare with golden/NAME; UPDATE_GOLDEN=1 writes it instead."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


class Paper:
    """A console that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    data = say

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)
