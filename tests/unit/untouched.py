"""Measures that nothing on this machine is changed: what Python's audit events say while a command runs."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOVES = frozenset(
    {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.mkfifo", "os.remove", "os.rename", "os.rmdir",
     "os.setxattr", "os.symlink", "os.truncate", "os.unlink", "os.utime", "shutil.rmtree"}
)  # fmt: skip
_ACTS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.kill", "socket.connect"})


class _Watch:
    """An audit hook stays for ever, so there is one, which looks only while it is asked to."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self.others: frozenset[int | None] = frozenset()
        self.allowed: tuple[str, ...] = ()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.seen is None or threading.get_ident() in self.others:
            return
        if event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
            self._note(event, args[0])
        elif event in _MOVES:
            for path in args[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
                self._note(event, path, *(arg for arg in args[-1:] if isinstance(arg, int) and arg > 0))
        elif event in _ACTS:
            self.seen.append(f"{event} {args[1] if event == 'subprocess.Popen' else args[-1]}")

    def _note(self, event: str, path: object, *folder: int) -> None:
        if isinstance(path, int):  # a descriptor: its opening was seen
            return
        above = str(Path(f"/proc/self/fd/{folder[0]}").resolve()) if folder else str(Path.cwd())
        text = os.path.normpath(os.path.join(above, os.fsdecode(path)))  # type: ignore[arg-type]  # noqa: PTH118
        if self.seen is not None and text != os.devnull and not text.startswith(self.allowed):
            self.seen.append(f"{event} {text}")


_watch = _Watch()


@contextlib.contextmanager
def watched(*allowed: Path) -> Iterator[list[str]]:
    """What was changed outside of these directories, which processes were started, who was connected to.

    Python keeps no bytecode meanwhile: that is its own doing, at the first import of a module. Threads that
    were there before are other tests' servers, which end in their own time.
    """
    found: list[str] = []
    _watch.others = frozenset(each.ident for each in threading.enumerate()) - {threading.get_ident()}
    _watch.seen, _watch.allowed = found, tuple(str(path) for path in allowed)
    compiles, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield found
    finally:
        _watch.seen, sys.dont_write_bytecode = None, compiles
