"""The sums of the binaries that kubeboot has put on a machine, noted there: a look need not read them again.

A note holds for a file whose device, inode, size, mtime and ctime are still those that it had when its bytes
had just been checked. Whatever writes to a file or changes its times sets its ctime to the clock. Nothing
but a changed clock or a written disk sets it back; who can do that is root, and could change sha256sum too.
"""

from __future__ import annotations

import os

PATH = "/var/lib/kubeboot/sums"
"""Lines of sum and state. It goes with the journal's directory."""
STATE = "%d:%i %s %.9Y %.9Z %n"
"""A file's state, as `stat -c` formats it."""


def known(path: str, notes: str) -> str | None:
    """The sum that was noted for the file as it is now."""
    try:
        with open(notes, encoding="utf-8") as lines:
            now = _state(path)
            found = [line.partition(" ")[0] for line in lines if line.partition(" ")[2].rstrip("\n") == now]
    except OSError:
        return None
    return found[-1] if found else None


def note(path: str, sha256: str, notes: str) -> None:
    """Note the sum of a file that was just checked, on a machine that has kubeboot's directory."""
    if os.path.isdir(os.path.dirname(notes)):
        fd = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(f"{sha256} {_state(path)}\n")


def _state(path: str) -> str:
    """As STATE has it."""
    found = os.lstat(path)
    times = (f"{ns // 10**9}.{ns % 10**9:09d}" for ns in (found.st_mtime_ns, found.st_ctime_ns))
    return f"{found.st_dev}:{found.st_ino} {found.st_size} {' '.join(times)} {path}"
