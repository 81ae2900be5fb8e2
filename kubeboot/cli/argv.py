"""Take secrets out of what other users of the machine see of this process: its arguments and environment.

Linux shows /proc/PID/cmdline and environ straight from the memory in which the kernel put them, and tells
a process where that is. Python has its own copies, so overwriting it harms nobody. What is written goes
through /proc/self/mem: the kernel checks the address, so a wrong one is an error and not a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(rb"(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])")
_OPTION = re.compile(rb"(?:--(?:token|certificate-key)[=\0]|KUBEBOOT_(?:TOKEN|CERTIFICATE_KEY)=)([^\0]+)")
_ARGUMENTS = 48
"""Field of /proc/self/stat that begins arg_start, arg_end, env_start, env_end (proc(5))."""


def blank() -> bool:
    """Overwrite every token and key among this process's arguments and environment; False if that failed."""
    try:
        with open("/proc/self/stat", encoding="latin-1") as stat:  # noqa: PTH123 - pathlib would slow --help
            areas = _areas(stat.read())
        for start, end in areas:
            _blank_area(start, end)
    except (OSError, ValueError, IndexError):
        return False
    return True


def secrets(memory: bytes) -> Iterable[tuple[int, int]]:
    """Where secrets are in a NUL-separated list of arguments or variables."""
    yield from (m.span() for m in _TOKEN.finditer(memory))
    yield from (m.span(1) for m in _OPTION.finditer(memory))


def _areas(stat: str) -> tuple[tuple[int, int], tuple[int, int]]:
    fields = stat[stat.rindex(")") + 2 :].split()
    first = _ARGUMENTS - 3
    arg_start, arg_end, env_start, env_end = (int(f) for f in fields[first : first + 4])
    return (arg_start, arg_end), (env_start, env_end)


def _blank_area(start: int, end: int) -> None:
    with open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123
        memory.seek(start)
        held = memory.read(end - start) if end > start else b""
        for first, last in secrets(held or b""):
            memory.seek(start + first)
            memory.write(b"*" * (last - first))
