"""Every error that kubeboot raises on purpose.

KubebootError                 exit 1    a step failed, or something unexpected
├── UsageProblem              exit 2    the command line cannot mean anything (click's own code)
├── PreflightFailed           exit 3    the machine is not fit; nothing was changed
├── ConfigInvalid             exit 4    the description of the cluster is wrong; nothing was changed
├── Unreachable               exit 5    a machine or an API cannot be reached, or refuses the credentials
├── TimedOut                  exit 6    a wait ended without its condition
├── Occupied                  exit 7    another run holds the lock, or another cluster is here
└── Interrupted               exit 130  Ctrl-C

A message says what and where; `hint` is the command or the change that fixes it.
"""

from __future__ import annotations


class KubebootError(Exception):
    """What went wrong, where, and what to do about it. Never holds a secret."""

    exit_code = 1
    reason = "KB_FAILED"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        reason: str | None = None,
        host: str | None = None,
        step: str | None = None,
        output: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.host = host
        self.step = step
        self.output = output
        if reason is not None:
            self.reason = reason


class UsageProblem(KubebootError):
    exit_code = 2
    reason = "KB_USAGE"


class PreflightFailed(KubebootError):
    exit_code = 3
    reason = "KB_PREFLIGHT"


class ConfigInvalid(KubebootError):
    exit_code = 4
    reason = "KB_CONFIG"


class Unreachable(KubebootError):
    exit_code = 5
    reason = "KB_UNREACHABLE"


class TimedOut(KubebootError):
    exit_code = 6
    reason = "KB_TIMEOUT"


class Occupied(KubebootError):
    exit_code = 7
    reason = "KB_OCCUPIED"


class Interrupted(KubebootError):
    exit_code = 130
    reason = "KB_INTERRUPTED"
