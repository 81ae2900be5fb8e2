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


def unready(url: str, status: int, body: bytes) -> str:
    """Why a server is not ready: by the checks that /readyz lists as failed, else by the status.

    Everybody may ask for /readyz, by a ClusterRole that an API server has to read first.
    """
    lines = body.decode(errors="replace").splitlines()
    failed = [line[3:].split()[0] for line in lines if line.startswith("[-]")]
    why = ", ".join(failed) or ("it starts, and has not read yet who may ask it" if status == 403 else "")
    return f"{url} answers {status}{f': {why}' if why else ''}"
