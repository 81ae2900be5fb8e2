"""A joining etcd has its data before the kubelet starts it.

etcd 3.7 tells the others its name the moment that it knows a leader. An empty one then gets the leader's
snapshot, which often has that name already and is no answer: 7 s later (`ReqTimeout`) it tells them again,
and only then opens its client port. One that starts with data is answered at once. So what the manifest says
runs for a moment in a container of no pod, as a learner, which nobody counts on; it has ended when the
kubelet starts it again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kubeboot import render
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.host.model import OURS, BareContainer
from kubeboot.steps import trees
from kubeboot.steps.etcd.vote import takes_part

COPY = "etcd/copy"
COPIED = "etcd/copied"
ID = f"{OURS}etcd-copy"
LOG = BareContainer(ID, "", ()).log
"""Is there from the container's start until it is dropped: what a killed run has left is known by it."""
_UNIT = "kubelet.service"
_IDLE = ("inactive", "failed")
_LINES = 8
_PLAIN = frozenset(
    {"name", "image", "imagePullPolicy", "command", "ports", "livenessProbe", "readinessProbe",
     "startupProbe", "resources", "securityContext", "volumeMounts"}
)  # fmt: skip
"""What a container may say that needs no kubelet, or means nothing to etcd itself. Variables may be secret,
and have no place on a command line."""


@dataclasses.dataclass(frozen=True)
class TakesPart:
    """The etcd that copies the data has done so.

    One that has ended by itself is not waited for: the kubelet's will end in the same way, and tell.
    """

    address: str
    deadline: float = 240.0
    sentence: str = "etcd to copy the data from its leader"

    def look(self, see: View, vals: Values) -> str | None:
        if see.host.stat(LOG) is None:
            return None
        waiting = takes_part(see, self.address)
        return waiting if waiting and _runs(see.host) else None

    def explain(self, see: View) -> str:
        words = (see.host.read(LOG) or b"").decode(errors="replace")
        return "\n".join(("etcd:", *words.splitlines()[-_LINES:]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy(Step):
    """etcd has data, or has begun to copy it. Where the kubelet runs, its etcd does that, more slowly."""

    manifest: str
    data_dir: str

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(f"{self.data_dir}/member") or see.host.stat(LOG):
            return Ok()
        if see.host.unit(_UNIT).active not in _IDLE:
            return Ok()
        if see.host.stat(self.manifest) and container(see.host, self.manifest) is None:
            return Ok()
        return Drift(f"copy etcd's data to {self.data_dir}")

    def undo(self, see: View) -> Sequence[Undo]:
        return trees.tree_undo(see, self.data_dir)

    def apply(self, do: Target, vals: Values) -> None:
        wanted = container(do.host, self.manifest)
        if wanted is not None:
            do.host.start_container(wanted)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copied(Step):
    """The etcd that copied the data has ended, also one that a killed run left: the kubelet's takes over."""

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.stat(LOG) is None else Drift(f"end {ID}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        do.host.end_container(ID)
        do.host.remove(LOG)


def container(see: HostView, manifest: str) -> BareContainer | None:
    """etcd as its manifest has it; None where there is none, or a patch asks for what only a kubelet does."""
    data = see.read(manifest)
    spec: dict[str, Any] = render.load(data)["spec"] if data else {}
    if not data or not _plain(spec):
        return None
    found = spec["containers"][0]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"]}
    mounts = tuple((paths[m["name"]], m["mountPath"], _mode(m)) for m in found["volumeMounts"])
    if not all(see.stat(path) for path, _, _ in mounts):
        return None
    return BareContainer(ID, str(found["image"]), tuple(map(str, found["command"])), mounts)


def _plain(spec: Mapping[str, Any]) -> bool:
    """One process of root's, with its words on the command line, that sees directories of the machine."""
    contexts = [part.get("securityContext") or {} for part in (spec, *spec["containers"])]
    return (
        len(spec["containers"]) == 1
        and spec.keys().isdisjoint({"initContainers"})
        and spec["containers"][0].keys() <= _PLAIN
        and all("hostPath" in volume for volume in spec.get("volumes") or ())
        and not any("runAsUser" in context for context in contexts)
    )


def _mode(mount: Mapping[str, Any]) -> str:
    return "ro" if mount.get("readOnly") else "rw"


def _runs(see: HostView) -> bool:
    mine = BareContainer(ID, "", ())
    return any(mine.holds(process) for process in see.processes())
