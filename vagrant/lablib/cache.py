"""What was built once is never built again: a directory per name and key, outside the checkout.

A build writes into a temporary directory that is renamed into place when it is complete, so an interrupted
build leaves nothing half-done under a final name. Parallel checkouts share a cache: each entry has a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Build = Callable[[Path], None]


def root() -> Path:
    """The cache: $KUBEBOOT_LAB_CACHE, else kubeboot-lab in the user's cache directory."""
    override = os.environ.get("KUBEBOOT_LAB_CACHE")
    if override:
        return Path(override).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeboot-lab"


def key_of(*parts: object) -> str:
    """A key from JSON values and files: a Path counts by its bytes, so moving a checkout rebuilds nothing."""
    text = json.dumps(parts, sort_keys=True, default=_content)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def entry(name: str, key: str) -> Path:
    """Where the result of `name` with this key is, or will be."""
    return root() / f"{name}-{key}"


def cached(name: str, key: str, build: Build) -> Path:
    """The directory that `build` fills; built now if this name and key never were.

    `build` gets an empty directory. What it raises goes through, and the next call starts it again.
    """
    done = entry(name, key)
    if done.is_dir():
        return done
    with _exclusive(done):
        if not done.is_dir():
            _fill(done, build)
    return done


def prune(name: str, key: str) -> list[Path]:
    """Remove the entries of `name` that have another key; those that went."""
    keep = entry(name, key)
    pattern = f"{name}-{'[0-9a-f]' * len(key)}"
    gone = [each for each in sorted(root().glob(pattern)) if each != keep]
    for each in gone:
        shutil.rmtree(each)
    return gone


def _fill(done: Path, build: Build) -> None:
    partial = done.with_name(f".partial-{done.name}")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    build(partial)
    os.sync()  # a power cut must not leave a complete name with incomplete files
    partial.rename(done)


@contextlib.contextmanager
def _exclusive(done: Path) -> Iterator[None]:
    locks = root() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / done.name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build of {done.name}", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _content(value: object) -> str:
    if isinstance(value, Path):
        return hashlib.sha256(value.read_bytes()).hexdigest()
    raise TypeError(f"{value!r} cannot be part of a cache key")
