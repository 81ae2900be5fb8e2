"""The three ways in which an artifact is not to be had."""

from __future__ import annotations

from kubeboot import errors

REASON = "KB_ARTIFACT"


def refused(message: str, hint: str | None = None) -> errors.ConfigInvalid:
    """Something is there, and is not what it must be."""
    return errors.ConfigInvalid(message, hint=hint, reason=REASON)


def unreachable(message: str, hint: str | None = None, output: str | None = None) -> errors.Unreachable:
    """No server gives it."""
    return errors.Unreachable(message, hint=hint, reason="KB_DOWNLOAD", output=output)


class Failure(Exception):
    """One request that did not give what was asked for. `again`: the same request may succeed later."""

    def __init__(self, why: str, *, again: bool = False, after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.again = again
        self.after = after
