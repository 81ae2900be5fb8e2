"""The DEBUG log that every run leaves behind: readable by its owner only, and never with a secret in it."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

SYSTEM_DIRECTORY = Path("/var/log/kubeboot")
KEEP = 50
"""Logs of earlier runs that are kept."""

_HIDDEN = "***"
_SHORTEST = 6
_NAME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[\w-]+\.log$")
_FORMAT = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![a-z0-9])([a-z0-9]{6})\.[a-z0-9]{16}(?![a-z0-9])"), rf"\1.{_HIDDEN}"),
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), _HIDDEN),
    (re.compile(r"LS0tLS1CRUdJTiB(?:QUklWQVRF|FQyBQUklWQVRF|SU0EgUFJJVkFURS)[A-Za-z0-9+/=]*"), _HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]{8,}"), _HIDDEN),
    (re.compile(r"(?i)(authorization['\"]?: *['\"]?(?:bearer|basic) +)[^\s'\",]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(--(?:token|certificate-key)[ =])(?!(?:or|and)\b)[^\s'\",]+"), rf"\1{_HIDDEN}"),
)


class Redactor:
    """Takes secrets out of text: those that have a known shape, and those that it was told of."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def hide(self, secret: str) -> None:
        """Never let this value through again. What is too short to be a secret is left alone."""
        if len(secret) >= _SHORTEST and secret not in self._known:
            self._known = tuple(sorted({*self._known, secret}, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """The text without its secrets."""
        for secret in self._known:
            text = text.replace(secret, _HIDDEN)
        for pattern, instead in _SECRETS:
            text = pattern.sub(instead, text)
        return text


class _CleanFormatter(logging.Formatter):
    """Cleans the finished text, so that arguments and tracebacks are covered too."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(_FORMAT)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))


class _File(logging.FileHandler):
    """A log that cannot be written any more (a full disk) loses its lines, and is no reason to fail."""

    def handleError(self, record: logging.LogRecord) -> None:
        """The run's own writes fail too, and are told."""

    def close(self) -> None:
        """What is left in memory is lost as well."""
        with contextlib.suppress(OSError):
            super().close()


class Log:
    """An open log. `path` is None when nothing could or should be written to disk."""

    def __init__(self, path: Path | None, handlers: tuple[logging.Handler, ...]) -> None:
        self.path = path
        self._handlers = handlers
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.INFO)
        logging.getLogger("kubeboot").setLevel(logging.DEBUG)
        for handler in handlers:
            root.addHandler(handler)

    def close(self) -> None:
        """Stop logging and leave the logging system as it was found."""
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(self._level)


def directory(environ: Mapping[str, str], uid: int) -> Path:
    """Where logs go: /var/log/kubeboot for root, else the user's state directory."""
    if uid == 0:
        return SYSTEM_DIRECTORY
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/tmp")) / ".local" / "state")  # noqa: S108
    return Path(state) / "kubeboot"


def start(command: str, where: Path | None, redactor: Redactor, *, echo: bool = False) -> Log:
    """Open the log of one run in `where` (None: no file), and repeat it on stderr when `echo`.

    A log that cannot be written is no reason to fail: `path` is None then.
    """
    stream = _create(where, command) if where is not None else None
    handlers: list[logging.Handler] = []
    if stream is not None:
        handlers.append(_File(stream, encoding="utf-8", errors="backslashreplace"))
    if echo and sys.stderr is not None:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(_CleanFormatter(redactor))
    return Log(stream, tuple(handlers))


def _create(where: Path, command: str) -> Path | None:
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prune(where)
        return _new_file(where, command)
    except OSError:
        return None


def _new_file(where: Path, command: str) -> Path:
    """A file of our own: two runs within one second never share a log, and no link is followed."""
    stem = f"{datetime.datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}-{command}"
    for name in (stem, *(f"{stem}-{n}" for n in range(2, 1000))):
        path = where / f"{name}.log"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            return path
    raise FileExistsError(str(where / stem))


def _prune(where: Path) -> None:
    logs = sorted(p for p in where.iterdir() if _NAME.match(p.name))
    for path in logs[: max(0, len(logs) - KEEP + 1)]:
        path.unlink(missing_ok=True)
