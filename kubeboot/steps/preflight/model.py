"""Findings, what the checks look at, and how they are run and told."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.host import looks
from kubeboot.host.api import CommandFailed, HostView, Unread
from kubeboot.host.facts import Facts
from kubeboot.host.model import Stat
from kubeboot.kube.surroundings import Machine

Level = Literal["error", "warning"]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong with a machine. `name` is what --ignore-preflight-errors takes."""

    name: str
    message: str
    hint: str
    level: Level = "error"
    host: str = ""

    def __str__(self) -> str:
        return f"[{self.level.upper()} {self.name}] {self.message}"


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """The cluster that a machine is about to join. `ahead`: the machine's clock against the cluster's."""

    peers: tuple[Machine, ...] = ()
    control_planes: tuple[tuple[str, int], ...] = ()
    version: str = ""
    ahead: float | None = None


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a check may look at. `touched` tells whether kubeboot's journal says that it has been here.

    `environ` is that of the command; `cluster` is None where there is none yet. `given` are files, by path,
    that the run would install. `planned`: how many nodes are to come of this run.
    """

    spec: ClusterSpec
    node: NodeSettings
    facts: Facts
    see: HostView
    touched: bool = False
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cluster: Surroundings | None = None
    given: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)
    planned: int = 1

    @property
    def runs_etcd(self) -> bool:
        """Whether this machine is to be a member of etcd."""
        beside = self.node.role == "control_plane" and self.spec.etcd.external is None
        return beside or self.node.role == "etcd"

    def file(self, path: str) -> bytes | None:
        """A file as it is to be: what the run installs, else what is there."""
        return self.given.get(path) or self.see.read(path)

    def text(self, path: str) -> str:
        """A file of the machine's as text; empty where it is not there."""
        return (self.see.read(path) or b"").decode(errors="replace")

    def texts(self, paths: Iterable[str]) -> dict[str, str]:
        """Several, by their paths."""
        return each(self.text, paths)

    def stats(self, paths: Iterable[str]) -> dict[str, Stat | None]:
        """What is there, by its path."""
        return each(self.see.stat, paths)

    def listings(self, folders: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The names in each of these directories."""
        return each(self.see.listdir, folders)


Check = Callable[[Scene], Iterable[Finding]]


def each(ask: Callable[[str], T], subjects: Iterable[str]) -> dict[str, T]:
    """The same question about each of these, in one round trip where the view has those."""
    about = tuple(subjects)
    return dict(zip(about, looks.together(functools.partial(ask, one) for one in about), strict=True))


def examine(
    scene: Scene, checks: Sequence[Check], ignored: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Run every check at once; findings in the checks' order, ignored errors demoted to warnings."""
    found: dict[Check, tuple[Finding, ...]] = {}
    with ThreadPoolExecutor(8, thread_name_prefix="preflight") as pool:

        def look() -> None:
            still = [check for check in checks if check not in found]
            told = zip(still, pool.map(lambda check: _checked(check, scene), still), strict=True)
            found.update({check: findings for check, findings in told if findings is not None})
            if len(found) < len(checks):
                raise Unread

        looks.settled(scene.see, look)
    return tuple(_placed(finding, scene, ignored) for check in checks for finding in found[check])


def _checked(check: Check, scene: Scene) -> tuple[Finding, ...] | None:
    """What cannot be looked at hides nothing else. A machine that is gone is another matter.

    None: what it wants has to be fetched first.
    """
    try:
        return tuple(check(scene))
    except Unread:
        return None
    except CommandFailed as error:
        name = getattr(check, "__name__", "check")
        hint = error.hint or "run the same command with sudo"
        return (Finding(f"Unchecked-{name}", f"{name} cannot be checked: {error.message}", hint, "warning"),)


def _placed(finding: Finding, scene: Scene, ignored: frozenset[str]) -> Finding:
    demoted = bool(ignored & {finding.name, finding.name.lower(), "all"})
    level: Level = "warning" if demoted else finding.level
    return dataclasses.replace(finding, level=level, host=scene.node.name)


def refuse(findings: Iterable[Finding]) -> None:
    """Raise PreflightFailed with every error and its fix, if there is one."""
    bad = [finding for finding in findings if finding.level == "error"]
    if not bad:
        return
    names = ",".join(sorted({finding.name for finding in bad}))
    raise errors.PreflightFailed(
        f"{len(bad)} preflight {'check' if len(bad) == 1 else 'checks'} failed; nothing was changed",
        output="\n".join(f"{finding}\n    fix: {finding.hint}" for finding in bad),
        hint=f"fix what is listed, or continue anyway with --ignore-preflight-errors={names}",
    )
