"""Loads a configuration that a test has as text."""

from __future__ import annotations

import io
from typing import Any

from kubeboot.config import loader


def load(text: str | bytes, **more: Any) -> loader.Loaded:
    """What the text is, read from standard input."""
    return loader.load(["-"], stdin=io.BytesIO(text.encode() if isinstance(text, str) else text), **more)
