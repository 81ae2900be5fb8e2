"""The table's second half: what is native on this machine and needs a shell on a remote one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from kubeboot.host import answers, parse, proc, sums
from kubeboot.host.commands import ABSENT, UNIT_PROPERTIES, sh
from kubeboot.host.model import Listener, Process, Stat, Unit
from kubeboot.host.runner import Ask, Tell
from kubeboot.host.shell import changes, looks

_ABSENT = (ABSENT,)


def read(path: str) -> Ask[bytes | None]:
    """A file's bytes."""
    return Ask(sh("read", looks.READ, path), lambda out: out, nothing=(None,), statuses=_ABSENT)


def stat(path: str) -> Ask[Stat | None]:
    """One directory entry."""
    return Ask(sh("stat", looks.STAT, path), answers.stat, nothing=(None,), statuses=_ABSENT)


def stats(paths: tuple[str, ...]) -> Ask[Mapping[str, Stat | None]]:
    """Several directory entries."""

    def answer(out: bytes) -> Mapping[str, Stat | None]:
        found = answers.stats(out)
        return {path: answers.stat(found[path]) if path in found else None for path in paths}

    return Ask(sh("stats", looks.STATS, *paths), answer)


def listdir(path: str) -> Ask[tuple[str, ...]]:
    """The names in a directory."""

    def names(out: bytes) -> tuple[str, ...]:
        return tuple(sorted(out.decode(errors="surrogateescape").split("\0")[:-1]))

    return Ask(sh("listdir", looks.LISTDIR, path), names, nothing=((),), statuses=_ABSENT)


def sha256(path: str) -> Ask[str | None]:
    """A file's sum."""
    script = sh("sha256", looks.SHA256, sums.PATH, path)
    return Ask(script, lambda out: out.split()[0].decode(), nothing=(None,), statuses=_ABSENT, deadline=300.0)


def real_path(path: str) -> Ask[str]:
    """The path with all links followed."""
    return Ask(sh("real path", looks.REAL_PATH, path), lambda out: out.decode().rstrip("\n"))


def unit(name: str) -> Ask[Unit]:
    """A unit's properties and the environment of its main process."""

    def answer(out: bytes) -> Unit:
        shown, _, environ = out.partition(b"ENVIRON\n")
        return parse.unit(name, parse.properties(shown), environ)

    return Ask(sh("unit", looks.UNIT, name, UNIT_PROPERTIES), answer)


def module(name: str) -> Ask[bool]:
    """Whether the kernel has a module."""
    name = name.replace("-", "_")
    pattern = f"/{name.replace('_', '[-_]')}\\.ko"
    script = sh("module", looks.MODULE, name, proc.BUILT_IN.get(name, ""), pattern)
    return Ask(script, lambda out: True, nothing=(False,), statuses=_ABSENT)


def listeners() -> Ask[tuple[Listener, ...]]:
    """Listening sockets and who holds them."""
    return Ask(sh("listeners", looks.LISTENERS), answers.listeners)


def processes() -> Ask[tuple[Process, ...]]:
    """Running processes."""
    return Ask(sh("processes", looks.PROCESSES), answers.processes)


def free_bytes(path: str) -> Ask[int]:
    """Room for an ordinary user."""

    def answer(out: bytes) -> int:
        blocks, size = out.split()
        return int(blocks) * int(size)

    return Ask(sh("free", looks.FREE, path), answer)


def replace(path: str, sum: str, mode: int, owner: str, notes: str = "") -> Tell:
    """Stdin becomes the file, if it has this sum, which is noted."""
    return Tell(sh("write", changes.REPLACE, path, sum, _octal(mode), owner, notes), deadline=3600.0)


def part_size(part: str) -> Ask[int]:
    """How much of an upload is there."""
    return Ask(sh("part", changes.PART, part), int)


def receive(path: str, part: str, offset: int) -> Tell:
    """Stdin is a file from this offset on; what lies before it is in the part."""
    return Tell(sh("put", changes.RECEIVE, path, part, str(offset)), deadline=3600.0)


def commit(path: str, sum: str, mode: int, part: str, size: int, read: bool) -> Tell:
    """The part, which has come whole, becomes the file. `read`: when its bytes have this sum."""
    words = (path, sum, _octal(mode), part, str(size), "read" if read else "", sums.PATH)
    return Tell(sh("commit", changes.COMMIT, *words), deadline=600.0, repeatable=False)


def append(path: str, data: bytes, mode: int) -> Tell:
    """Stdin, which is `data`, is added to the file."""
    sum = hashlib.sha256(data).hexdigest()
    return Tell(sh("append", changes.APPEND, path, sum, _octal(mode)), repeatable=False)


def mkdir(path: str, mode: int) -> Tell:
    """A directory, and those above it; the mode is the last one's."""
    return Tell(sh("mkdir", changes.MKDIR, path, _octal(mode)))


def symlink(path: str, target: str) -> Tell:
    """A link, made under a temporary name and renamed."""
    return Tell(sh("symlink", changes.SYMLINK, path, target))


def chmod(path: str, mode: int, owner: str) -> Tell:
    """Mode and owner (`user:group`), never through a link."""
    return Tell(sh("chmod", changes.CHMOD, path, _octal(mode), owner))


def remove(path: str) -> Tell:
    """A file, a link or an empty directory; done where there is none."""
    return Tell(sh("remove", changes.REMOVE, path))


def remove_tree(path: str, points: tuple[str, ...]) -> Tell:
    """All at and below the path, but nothing of the mounts at these points."""
    return Tell(sh("remove tree", changes.REMOVE_TREE, path, *points), deadline=600.0)


def rename(path: str, to: str) -> Tell:
    """Another name; done where only that one is there."""
    return Tell(sh("rename", changes.RENAME, path, to))


def copy_tree(path: str, to: str) -> Tell:
    """A tree with its modes, owners and links, synced."""
    return Tell(sh("copy", changes.COPY_TREE, path, to), deadline=1800.0)


def remove_cgroup(path: str) -> Tell:
    """A cgroup and all below it, which hold no process any more."""
    return Tell(sh("remove cgroup", changes.REMOVE_CGROUP, path))


def set_sysctl(key: str, value: str) -> Tell:
    """A kernel setting's value, now; not kept over a boot."""
    return Tell(sh("sysctl", changes.SET_SYSCTL, proc.sysctl_path(key), value, key))


def kill(pid: int, signal: int) -> Tell:
    """The signal of this number to a process; done where it has gone."""
    return Tell(sh("kill", changes.KILL, str(pid), str(signal)))


def _octal(mode: int) -> str:
    """Five digits, with which chmod clears a directory's special bits too."""
    return f"{mode:05o}"
