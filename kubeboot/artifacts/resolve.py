"""Sums as upstream publishes them, in the several forms in which it does."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

_HEX = re.compile(r"^[0-9a-f]{64}\Z")


def published_sum(text: str, url: str) -> str | None:
    """A file's sum: the only word of a file of one, or the word before the file's name. None: not in it."""
    name = posixpath.basename(urlsplit(url).path)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    alone = len(lines) == 1 and len(lines[0]) == 1
    pairs = (words for words in lines if len(words) == 2)
    named = (words[0] for words in pairs if posixpath.basename(words[1].lstrip("*")) == name)
    found = lines[0][0] if alone else next(named, "")
    return found.lower() if _HEX.match(found.lower()) else None
