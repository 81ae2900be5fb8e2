"""The places of a run: around each change that a step makes, and between the engine's own doings."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from kubeboot.engine.step import Target
from kubeboot.host import sending
from kubeboot.host.api import HostTarget, HostView
from kubeboot.kube.api import Api, ApiView
from kubeboot.kube.etcd import Etcd, EtcdView

Leave = Callable[[], object]
"""What the machine looks like at a place, where stopping there is not enough to make it so."""
Reach = Callable[[str, str, Leave], None]
"""Called at each place with the step's id and the operation."""


def _writes(target: type, view: type) -> frozenset[str]:
    own = (name for name in vars(target) if not name.startswith("_"))
    return frozenset(name for name in own if name not in vars(view)) - {"lock", "say"}


HOST_WRITES = _writes(HostTarget, HostView)
API_WRITES = _writes(Api, ApiView)
ETCD_WRITES = _writes(Etcd, EtcdView) - {"exclusively"}
_RENAMED = frozenset({"write", "put", "symlink"})
"""Those that appear under a temporary name first."""


class Watch(Protocol):
    """What the engine tells of where a step is."""

    def reached(self, step: str, operation: str) -> None: ...
    def target(self, step: str, do: Target) -> Target:
        """What the step acts with."""
        ...


class Unwatched:
    """Every run but those of tests."""

    def reached(self, step: str, operation: str) -> None:
        """Goes on."""

    def target(self, step: str, do: Target) -> Target:
        """The machine itself."""
        return do


UNWATCHED = Unwatched()


@dataclasses.dataclass(frozen=True)
class Watched:
    """Calls `reach` at every place of every step."""

    reach: Reach

    def reached(self, step: str, operation: str) -> None:
        """Between the engine's own doings."""
        self.reach(step, operation, lambda: None)

    def target(self, step: str, do: Target) -> Target:
        """The machine, the API and etcd's members, their changes counted together."""
        count = itertools.count(1)
        return Target(
            cast(HostTarget, _Changes(do.host, HOST_WRITES, step, count, self.reach)),
            cast(Api, _Changes(do.api, API_WRITES, step, count, self.reach)),
            cast(Etcd, _Changes(do.etcd, ETCD_WRITES, step, count, self.reach)),
        )


class _Changes:
    """Something with methods, of which those in `writes` have a place before and after them."""

    def __init__(
        self,
        inner: HostTarget | Api | Etcd,
        writes: frozenset[str],
        step: str,
        count: Iterable[int],
        reach: Reach,
    ) -> None:
        self._inner = inner
        self._writes = writes
        self._step = step
        self._count = iter(count)
        self._reach = reach

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        return self._watched(name, found) if name in self._writes else found

    def _watched(self, name: str, change: Callable[..., object]) -> Callable[..., object]:
        def call(*args: Any, **options: Any) -> object:  # noqa: ANN401 - passed on as they came
            number = next(self._count)
            self._reach(self._step, f"before-{number}", lambda: None)
            if name in _RENAMED:
                self._reach(self._step, f"between-{number}", lambda: self._half(name, *args, **options))
            done = change(*args, **options)
            self._reach(self._step, f"after-{number}", lambda: None)
            return done

        return call

    def _half(self, name: str, path: str, what: object, *_: object, **__: object) -> None:
        """The temporary file as it is before it is renamed; of a streamed one nothing has come yet."""
        folder, base = posixpath.split(path)
        left = posixpath.join(folder, sending.temporary(base, "0" * 8))
        to = cast(HostTarget, self._inner)
        if name == "symlink":
            to.symlink(left, str(what))
        else:
            to.write(left, what if isinstance(what, bytes) else b"", 0o600)
