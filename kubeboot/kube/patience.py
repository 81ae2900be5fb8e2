"""Asking again: an API server is away for seconds when etcd loses a member, and then it is there as before.

A request is sent again that changes nothing the second time, or that nobody has seen the first time. An API
that has never answered is not waited for: whoever makes a cluster asks one that is not there yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeboot.kube.api import ApiAway
from kubeboot.kube.http import Response

UNDECIDED = 504
"""Gateway timeout: it may have been done."""
BUSY = frozenset({429, 503, UNDECIDED})
HASTE = (0.2, 0.5, 1.0)
"""Seconds before a request is sent again to a server that is too busy for it."""
PAUSE, TIMES = 0.5, 17
"""Then, to one that has answered before, or that is known to be there: ten seconds in all."""
LONGEST = 1.0


class Patience:
    """How long an API is asked again. `known`: it is there, or has been."""

    def __init__(
        self, known: bool = False, pause: Callable[[float], None] = time.sleep, scale: float = 1.0
    ) -> None:
        self._known = known
        self._pause = pause
        self._scale = scale

    def answered(self) -> None:
        """It is there."""
        self._known = True

    def _pauses(self) -> tuple[float, ...]:
        return (*HASTE, *(PAUSE,) * round(TIMES * self._scale)) if self._known else HASTE

    def ask(self, send: Callable[[], Response], *, repeatable: bool) -> Response:
        """The answer; ApiAway, or the busy server's last word, when that is all that there is."""
        for seconds in (*self._pauses(), None):
            try:
                answer = send()
            except ApiAway as error:
                if seconds is None or not self._known or (error.seen and not repeatable):
                    self._known = False
                    raise
            else:
                if seconds is None or not _busy(answer, repeatable):
                    self._known = answer.status not in BUSY
                    return answer
                seconds = min(answer.retry_after or seconds, LONGEST)
            self._pause(seconds)
        raise AssertionError("the last answer is returned, or the last error raised")


def _busy(answer: Response, repeatable: bool) -> bool:
    return answer.status in BUSY and (repeatable or answer.status != UNDECIDED)
