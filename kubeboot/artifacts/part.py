"""A download under way."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from kubeboot.artifacts.api import CHUNK


class Part:
    """A download under way: what is there of it, its sum so far, and where it came from."""

    def __init__(self, descriptor: int, path: Path, target: Path, sha256: str) -> None:
        self.path = path
        self._file = os.fdopen(descriptor, "r+b")
        self._target = target
        self._sha256 = sha256
        self._mark = path.with_suffix(".from")
        self._sum = hashlib.sha256()
        self.size = 0
        while chunk := self._file.read(CHUNK):
            self._sum.update(chunk)
            self.size += len(chunk)

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._sum.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Throw away what is there."""
        self._file.seek(0)
        self._file.truncate()
        self._sum = hashlib.sha256()
        self.size = 0
        self._mark.unlink(missing_ok=True)

    @property
    def right(self) -> bool:
        """Whether what is there is what it should be."""
        return self._sum.hexdigest() == self._sha256

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()

    def mark(self, url: str, validator: str) -> None:
        """Remember what the server calls this version of the file."""
        self._mark.write_text(f"{url}\n{validator}\n", encoding="utf-8")

    def validator(self, url: str) -> str:
        """What this server called the version that is there; empty when another gave it."""
        try:
            marked, _, rest = self._mark.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return ""
        return rest.strip() if marked == url else ""

    def finish(self) -> Path:
        """Give it its name; it was checked."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.path.rename(self._target)
        self._mark.unlink(missing_ok=True)
        return self._target

    def drop(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError):
            self._mark.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
