"""What of a file is still to be sent, and its sum: a sender sees all bytes anyway, and knows their end."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any


@dataclasses.dataclass
class Upload:
    """What comes after the first `offset` bytes. `size` and `sum` are those of all that went through."""

    chunks: Iterable[bytes]
    offset: int
    size: int = 0
    _digest: Any = dataclasses.field(default_factory=hashlib.sha256)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self._digest.update(chunk)
            known = max(0, self.offset - self.size)
            self.size += len(chunk)
            if known < len(chunk):
                yield chunk[known:] if known else chunk

    @property
    def sum(self) -> str:
        """The sha256 in hex."""
        return str(self._digest.hexdigest())
