"""A child process of kubeboot: argv and chunks in, status and bytes out."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable
from typing import IO, cast

from kubeboot.host.runner import NOT_FOUND, Result, timed_out

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where commands are looked for first: our `ctr` before a distribution's."""
_NOT_EXECUTABLE = 126
"""A shell's status for a file that is there and cannot be run."""
_NO_COMMAND = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC)


def run(argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float, scale: float = 1.0) -> Result:
    """Run to the end, in the C locale and out of reach of the terminal's Ctrl-C."""
    deadline *= scale
    path = f"{SEARCH}:{os.environ.get('PATH', '')}"
    try:
        child = _start(argv, path)
    except OSError as error:
        if error.errno not in _NO_COMMAND:
            raise
        return _not_begun(argv[0], path, error)
    with child:
        try:
            out, err = _talk(child, stdin, deadline)
        except subprocess.TimeoutExpired:
            raise timed_out(argv, deadline, os.uname().nodename) from None
        finally:
            child.kill()
    return Result(child.returncode, out, err)


def _not_begun(command: str, path: str, error: OSError) -> Result:
    """As a shell says it. A directory of the PATH that is closed to us has nothing for us."""
    if shutil.which(command, os.F_OK, path) is None:
        return Result(NOT_FOUND, b"", f"{command}: not found".encode())
    return Result(_NOT_EXECUTABLE, b"", f"{command}: {(error.strerror or '').lower()}".encode())


def _start(argv: tuple[str, ...], path: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "LC_ALL": "C", "PATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd="/", process_group=0)


def _talk(child: subprocess.Popen[bytes], stdin: Iterable[bytes], deadline: float) -> tuple[bytes, bytes]:
    if isinstance(stdin, tuple):
        return child.communicate(b"".join(stdin), timeout=deadline)
    feeder = _Feeder(child, stdin)
    try:
        return child.communicate(timeout=deadline)
    finally:
        feeder.end()


class _Feeder:
    """Writes chunks to a child from a thread, so that its answers can be read meanwhile.

    A source that fails half-way must not look like an end: the child is killed, and the error is raised here.
    """

    def __init__(self, child: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
        self._child, self._chunks, self._pipe = child, chunks, cast(IO[bytes], child.stdin)
        self._error: BaseException | None = None
        child.stdin = None  # or communicate() would close it
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        try:
            with contextlib.suppress(BrokenPipeError), self._pipe:
                for chunk in self._chunks:
                    self._pipe.write(chunk)
        except BaseException as err:
            self._error = err
            self._child.kill()

    def end(self) -> None:
        """Wait for the thread; raise what its source raised."""
        self._child.kill()
        self._thread.join()
        if self._error is not None:
            raise self._error
