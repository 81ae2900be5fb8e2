"""Runs command lines as they are, where nothing can be reached and nothing may be changed."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from unittest import mock

from kubeboot import errors, inputs
from kubeboot.cli import actions, actions_etcd
from tests.unit import zoo
from tests.unit.cli_support import Ran, run
from tests.unit.untouched import watched

TOKEN, KEY = "abcdef.0123456789abcdef", "0f" * 32
HASH = f"sha256:{KEY}"
REACHING = (
    "init", "join", "reset", "preflight", "doctor", "support", "status", "up", "plan", "down", "execute",
)  # fmt: skip
REACHING_ETCD = ("machine", "recover", "status", "export", "remove")
"""Actions that ask this machine before anything else: they end where a machine is not there."""
HOW: Mapping[str, str] = {
    "validate": "config validate @",
    "migrate": "config migrate @",
    "external-etcd": "init --external-etcd @ --dry-run",
    "etcd-join": "etcd join @ --dry-run",
    "token-file": f"join 127.0.0.1:1 --token-file @ --discovery-token-ca-cert-hash {HASH}",
    "key-file": "certs upload --certificate-key-file @",
    "kubeconfig": "token list --kubeconfig @",
    "bundle-show": "bundle show @",
    "list-bundle": "artifacts list --bundle @",
    "lock": "artifacts list --lock @",
    "from": "bundle create --from @ --to /nonexistent/x",
    "snapshot": "etcd snapshot status @",
    "policy": "config print --effective --config -",
    "admission": "config print --effective --config -",
    "patches": "config print --effective --config -",
}
"""The command that is given a file, `@`; the last three by a description that names it."""
FIELDS: Mapping[str, str] = {
    "policy": "audit: {policyFile: %s}",
    "admission": "admission: {configFile: %s}",
    "patches": "patches: {directory: %s}",
}


def _gone(*_: object, **__: object) -> NoReturn:
    raise errors.Unreachable("nobody there")


def _refused(*_: object, **__: object) -> NoReturn:
    raise ConnectionRefusedError(111, "Connection refused")


class Changed(AssertionError):
    """A command changed something, started something or talked to somebody."""


def given(how: str, name: bytes) -> Ran:
    """Give a command a file."""
    path = os.fsdecode(name)
    words = [path if word == "@" else word for word in HOW[how].split()]
    text = zoo.HEAD + (FIELDS[how] % f'"{path}"').encode(errors="surrogateescape") if how in FIELDS else b""
    return untouched(words, text)


def untouched(words: Sequence[str], stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """Run a command line; Changed if it did more than look."""
    ours = Path(tempfile.gettempdir()) / "tmp"  # the log's directory
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(actions, **dict.fromkeys(REACHING, _gone)))
        stack.enter_context(mock.patch.multiple(actions_etcd, **dict.fromkeys(REACHING_ETCD, _gone)))
        stack.enter_context(mock.patch.object(inputs, "PATIENCE", 0.02))
        stack.enter_context(mock.patch("socket.create_connection", _refused))
        seen = stack.enter_context(watched(ours))
        ran = run(*words, stdin=stdin, env=env)
    if seen:
        raise Changed(ascii((words, seen)))
    return ran


def reason(ran: Ran) -> str:
    """The reason id that was told; `-` where there is none."""
    found = re.findall(r"reason (KB_\w+)", ran.err)
    return found[-1] if found else "-"


def is_traceback(ran: Ran) -> bool:
    """Whether a person saw one, or was told of a bug."""
    return "Traceback (most" in ran.err + ran.out or "KB_BUG" in ran.err


@contextlib.contextmanager
def files() -> Iterator[Mapping[str, bytes]]:
    """The zoo, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as directory:
        yield zoo.make(Path(directory))


def picture(*roots: str) -> dict[str, tuple[int, ...]]:
    """Every file below some directories: mode, owner, size and times."""
    found: dict[str, tuple[int, ...]] = {}
    for root in roots:
        for folder, folders, names in os.walk(root):
            for name in (*folders, *names):
                path = os.path.join(folder, name)  # noqa: PTH118
                with contextlib.suppress(FileNotFoundError):
                    one = os.lstat(path)
                    found[path] = (one.st_mode, one.st_uid, one.st_size, one.st_mtime_ns, one.st_ctime_ns)
    return found
