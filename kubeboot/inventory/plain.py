"""Words that end in ssh's configuration, a file's name or an argument, and must mean nothing else there."""

from __future__ import annotations

import re

_NAME = re.compile(r"\w[\w.:@+-]*")
_HOST = re.compile(r"[\w:][\w.:%-]*")
_USER = re.compile(r"[\w.][\w.@+\\-]*")
_HOP = r"(?:ssh://)?(?:[\w.][\w.@+-]*@)?(?:\[[\w.:%-]+\]|\w[\w.-]*)(?::\d+)?"
_JUMP = re.compile(rf"{_HOP}(?:,{_HOP})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_name(text: str) -> bool:
    """Whether it can be a machine's name, and a file's."""
    return _NAME.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether it is a host's name or address."""
    return _HOST.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Whether it is a login's name: ssh refuses others as well."""
    return _USER.fullmatch(text) is not None


def is_jump(text: str) -> bool:
    """Whether it is what ProxyJump takes: hosts, and no shell's words."""
    return _JUMP.fullmatch(text) is not None


def is_line(text: str) -> bool:
    """Whether it stays one line of a file."""
    return _CONTROL.search(text) is None
