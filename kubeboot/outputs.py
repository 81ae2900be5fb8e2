"""Writing a file that someone named: whoever reads it meanwhile finds the old one, or the new one whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file beside the path, for its owner alone, that takes its place at the end; an error leaves none."""
    folder, name = os.path.split(path)
    with tempfile.NamedTemporaryFile(dir=folder or ".", prefix=f".{name}-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
