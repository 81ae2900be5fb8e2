"""What an API server says besides objects, in words: refusals, and the checks that fail."""

from __future__ import annotations

import json


def message(body: bytes) -> str:
    """The API's own words, from a Status object, or the beginning of whatever else it is."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.decode(errors="replace").split())[:200] or "nothing"


def causes(body: bytes) -> str:
    """A refusal with its details: which PodDisruptionBudget, and what it needs."""
    try:
        details = json.loads(body)["details"]["causes"]
        return " ".join((message(body), *(str(cause["message"]) for cause in details)))
    except (ValueError, KeyError, TypeError):
        return message(body)


def failing(body: bytes) -> str:
    """The checks that /readyz lists as failed."""
    lines = body.decode(errors="replace").splitlines()
    failed = [line[3:].split()[0] for line in lines if line.startswith("[-]")]
    return f": {', '.join(failed)}" if failed else ""
