"""Where kubeboot.pyz keeps what it holds: a private directory, filled once, swept by the next version.

A directory appears whole, by a rename. Who runs from it holds a lock on it, so that nobody sweeps it away.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping

SYSTEM = "/var/cache/kubeboot"
_USED = "in-use"
_held: list[int] = []
"""Descriptors that stay open as long as this process lives: they are its locks."""


def place() -> str:
    """The directory with what this Python needs, filled if it is not there."""
    import identity  # type: ignore[import-not-found]

    home = _private(_home(os.environ, os.geteuid()))
    found = os.path.join(home, f"{identity.ID}-{_tag()}-{os.uname().machine}")
    while not _hold(found):
        _fill(home, found)
    return found


def _tag() -> str:
    return f"cp{sys.version_info[0]}{sys.version_info[1]}"


def _home(environ: Mapping[str, str], uid: int) -> str:
    """As kubeboot's own cache: root never uses what a user's environment names, but for KUBEBOOT_CACHE."""
    if "KUBEBOOT_CACHE" in environ:
        return os.path.abspath(environ["KUBEBOOT_CACHE"])
    if uid == 0:
        return SYSTEM
    return os.path.join(environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kubeboot")


def _private(home: str) -> str:
    """A directory that nobody else can write to, below one that others cannot: a user's group is the user."""
    os.makedirs(os.path.dirname(home), mode=0o755, exist_ok=True)
    inner = os.path.join(home, "pyz")
    group = 0o020 if os.geteuid() == 0 else 0
    for path, mode, foreign in ((home, 0o755, 0o002 | group), (inner, 0o700, 0o022)):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)
        found = os.lstat(path)
        if found.st_uid != os.geteuid() or found.st_mode & foreign or found.st_mode & 0o170000 != 0o040000:
            raise PermissionError(0, "is not a directory that only you can write to", path)
    os.chmod(inner, 0o700)
    if os.statvfs(inner).f_flag & os.ST_NOEXEC:
        raise PermissionError(
            0, "is mounted noexec, and extension modules cannot be loaded from there", inner
        )
    return inner


def _hold(path: str) -> bool:
    """Keep `path` from being swept; False if it is not there."""
    used = os.path.join(path, _USED)
    try:
        descriptor = os.open(used, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not os.path.exists(used):  # swept while we waited
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True


def _fill(home: str, path: str) -> None:
    """Unpack: one process at a time, and what a killed one left is thrown away."""
    new = os.path.join(home, "new")
    with _locked(os.path.join(home, "lock")):
        shutil.rmtree(new, ignore_errors=True)
        if os.path.exists(path):
            return
        try:
            _extract(new)
            os.sync()  # after a power cut there is a whole directory, or none
            os.rename(new, path)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        _sweep(home, os.path.basename(path).split("-")[0])


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _extract(to: str) -> None:
    with zipfile.ZipFile(sys.path[0]) as archive:
        names = [name for name in archive.namelist() if fits(name, _tag(), os.uname().machine)]
        if not any("-cp" in name for name in names):
            raise OSError(0, f"has nothing for {_tag()} on {os.uname().machine}", sys.path[0])
        for name in names:
            with zipfile.ZipFile(io.BytesIO(archive.read(name))) as wheel:
                wheel.extractall(to)
    with open(os.path.join(to, _USED), "wb"):
        pass


def fits(name: str, tag: str, machine: str) -> bool:
    """Whether a wheel, by its name, is for this Python on this machine."""
    if not name.endswith(".whl"):
        return False
    python, abi, platform = name[: -len(".whl")].split("-")[-3:]
    if platform == "any":
        return True
    return platform.endswith(machine) and (abi == "abi3" or tag in python.split("."))


def _sweep(home: str, own: str) -> None:
    """Remove what other versions unpacked and nobody runs from."""
    for name in os.listdir(home):
        path = os.path.join(home, name)
        if name.startswith(f"{own}-") or not os.path.isdir(path):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(os.path.join(path, _USED), os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
