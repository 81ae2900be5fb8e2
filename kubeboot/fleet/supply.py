"""Binaries and images for a whole fleet: one source for each architecture, opened and fetched once."""

from __future__ import annotations

import threading

from kubeboot.artifacts.api import Source
from kubeboot.artifacts.bundle import Bundle
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import here
from kubeboot.fleet.run import Emit


class Supply:
    """Sources of one description, for several threads. `peek`: nothing is asked of any server."""

    def __init__(self, spec: ClusterSpec, emit: Emit, *, peek: bool) -> None:
        self._spec = spec
        self._emit = emit
        self._peek = peek
        self._lock = threading.Lock()
        self._known: dict[str, Source] = {}

    def source(self, arch: str) -> Source:
        """For machines of an architecture; downloads are complete before the first machine wants them."""
        with self._lock:
            if arch not in self._known:
                self._known[arch] = self._found(arch)
            return self._known[arch]

    def _found(self, arch: str) -> Source:
        found = here.source(self._spec, arch, self._emit, dry=self._peek)
        if not self._peek and not isinstance(found, Bundle):
            found.verify()
        return found
