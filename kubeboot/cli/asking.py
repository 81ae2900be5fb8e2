"""Questions to a person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeboot import errors
from kubeboot.cli import runtime

if TYPE_CHECKING:
    from kubeboot.cli.report import Feed

ANYHOW = "say --yes to do it"
SEEN = f"{ANYHOW}, or --dry-run to see what it would do"


def someone(now: runtime.Runtime) -> bool:
    """Whether there is one."""
    return sys.stdin is not None and sys.stdin.isatty() and not now.settings.json


def answer(now: runtime.Runtime, question: str) -> str:
    """What was typed, in lower case."""
    with now.asking():
        now.console.err.write(question)
        return sys.stdin.readline().strip().lower()


def agreed(now: runtime.Runtime, question: str) -> bool:
    """Whether the answer is yes."""
    return answer(now, f"{question} type `yes`: ") in ("yes", "y")


def loss_agreed(
    now: runtime.Runtime,
    loses: str,
    question: str,
    show: Callable[[Feed], object] | None = None,
) -> bool:
    """Whether what would be lost may be; `show` tells first what would be done. A no is confirmed.

    UsageProblem where there is nobody to ask.
    """
    if not someone(now):
        hint = ANYHOW if show is None else SEEN
        raise errors.UsageProblem(f"{loses}, and there is no terminal to ask on", hint=hint)
    if show is not None:
        from kubeboot.cli import report

        with report.preview(now) as emit:
            show(emit)
    if agreed(now, question):
        return True
    now.say("nothing was changed")
    return False
