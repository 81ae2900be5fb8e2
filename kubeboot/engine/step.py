"""The contract: what a step is, what its check may answer, and what it is given to look and act with."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Key, Values
from kubeboot.host.api import HostTarget, HostView
from kubeboot.kube.api import Api, ApiView
from kubeboot.kube.etcd import Etcd, EtcdView, NoEtcd

Ref = str
"""`"id"` on the same host · `"cp-1:id"` · `"control_plane:id"` every host of a role · `"@cluster:id"`."""

CLUSTER = "@cluster"
"""The `on` of a step that is done once for the whole cluster, via any live control plane."""


class Impact(enum.StrEnum):
    """What running a step does to what already runs on its machine."""

    NONE = "none"
    RESTART = "restart"
    DRAIN = "drain"
    API_GAP = "api-gap"


@dataclasses.dataclass(frozen=True)
class Slot:
    """What must not overlap: `Slot("cluster", "etcd-membership")`; or only `room` at a time of it."""

    scope: Literal["cluster", "host"]
    name: str
    room: int = 1


@dataclasses.dataclass(frozen=True)
class Ok:
    """The machine is as the step wants it."""


@dataclasses.dataclass(frozen=True)
class Drift:
    """It is not. `diff` is a unified diff, and never given for a secret.

    `quiet`: only a mode or the like, which nothing that runs will notice.
    """

    summary: str
    change: Literal["create", "change", "remove"] = "create"
    diff: str | None = None
    quiet: bool = False


@dataclasses.dataclass(frozen=True)
class Later:
    """It cannot be known before something else was done: `Later("the API server")`."""

    needs: str


@dataclasses.dataclass(frozen=True)
class Blocked:
    """It cannot be done here; the run stops before this step, and other branches go on to their end."""

    message: str
    hint: str | None = None
    reason: str = "KB_BLOCKED"


Check = Ok | Drift | Later | Blocked


@dataclasses.dataclass(frozen=True)
class View:
    """What a check may look at. A dry run holds nothing more than this."""

    host: HostView
    api: ApiView
    etcd: EtcdView = dataclasses.field(default_factory=NoEtcd)


@dataclasses.dataclass(frozen=True)
class Target:
    """What apply may act on. `see` is the same machine, read-only."""

    host: HostTarget
    api: Api
    etcd: Etcd = dataclasses.field(default_factory=NoEtcd)

    @property
    def see(self) -> View:
        return View(self.host, self.api, self.etcd)


class Condition(Protocol):
    """Something to wait for. `look` returns None when it holds, else what was last seen, in one line."""

    @property
    def sentence(self) -> str: ...
    @property
    def deadline(self) -> float:
        """Seconds, before scaling by the run's timeout scale."""
        ...

    def look(self, see: View, vals: Values) -> str | None: ...
    def explain(self, see: View) -> str:
        """After the deadline: the last words of whatever should have made it true."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to bring about on one machine. Frozen and printable: no secret, no value born at run time.

    Subclasses implement `check` and `apply`, and `undo` where something on the machine changes. `after` is
    the order, and a failure's path: what comes after a failed step is skipped. `behind` is order alone, for
    what must be tried whatever came of the others. `follows`: steps on the same machine whose changes make
    this one act too, although it finds nothing to do before. A `needs` implies its giver. `cost` is a rough
    number of seconds, used to start the longest remaining path first.
    """

    id: str
    title: str
    on: str
    after: frozenset[Ref] = frozenset()
    behind: frozenset[Ref] = frozenset()
    follows: frozenset[Ref] = frozenset()
    needs: frozenset[Key[Any]] = frozenset()
    gives: frozenset[Key[Any]] = frozenset()
    impact: Impact = Impact.NONE
    settle: Condition | None = None
    holds: frozenset[Slot] = frozenset()
    cost: float = 0.05

    def check(self, see: View, vals: Values) -> Check:
        raise NotImplementedError

    def undo(self, see: View) -> Sequence[Undo]:
        """What takes `apply` back, from what the machine shows now; journalled before apply."""
        return ()

    def claim(self, see: View) -> Sequence[Undo]:
        """What is to be taken back later though there is nothing to do now: an empty directory that fills."""
        return ()

    def apply(self, do: Target, vals: Values) -> None:
        """Bring it about, safely from any partial state of itself."""
        raise NotImplementedError

    def read(self, see: View, key: Key[Any]) -> Any:  # noqa: ANN401 - the key carries the type
        """A given value, re-read from the machine; None when it is not there."""
        raise NotImplementedError(f"{self.id} gives {key.name} and cannot read it")


def impact(step: Step, drift: Drift | None) -> str:
    """What bringing a step about does to what runs."""
    return Impact.NONE.value if drift is not None and drift.quiet else step.impact.value
