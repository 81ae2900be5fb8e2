"""The one error for all the servers that could have given something, and did not."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from kubeboot import errors
from kubeboot.artifacts import replies
from kubeboot.artifacts.trouble import Failure, refused, unreachable

_CAPTIVE = "this may be a proxy's or a hotel's own page: open the URL in a browser"


def unavailable(
    name: str, refusals: Sequence[tuple[str, Failure]], done: str = "downloaded"
) -> errors.KubebootError:
    """One error for all these servers, in the order in which they were asked. `done`: what failed."""
    lines = [f"{_shown(url)} {failure.why}" for url, failure in refusals]
    hint = "check the network, the proxy in the environment, and artifacts.mirrors in the configuration"
    if any("web page" in failure.why for _, failure in refusals):
        hint = _CAPTIVE
    if any("other bytes" in failure.why for _, failure in refusals):
        hint = "compare the sum with upstream's; do not use a mirror that changes files"
        return refused(f"{name} is not what it must be: {'; '.join(lines)}", hint)
    return unreachable(f"{name} cannot be {done}: {'; '.join(lines)}", hint)


def _shown(url: str) -> str:
    """A URL without what a signature or a password in it would tell."""
    parts = urlsplit(url)
    return f"{replies.origin(url)}{parts.path}"
