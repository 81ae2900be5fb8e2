"""The source of all binaries and images, checked once before anything of it is used."""

from __future__ import annotations

import dataclasses

from kubeboot.artifacts.api import Catalog, Source
from kubeboot.config.node import NodeSettings
from kubeboot.engine import journal
from kubeboot.engine.step import Check, Drift, Ok, Ref, Slot, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.steps import basic

VERIFIED = "artifacts/verify"
STAMP = f"{journal.HOME}/verified"
SUMS_PER_SECOND = 1e9
INSTALLING = Slot("host", "binaries", room=2)
"""Two binaries at a time: those that containerd is made of, which everything waits for, are there first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verified(Step):
    """The source's bytes match their sums. Its stamp goes with kubeboot's own directory."""

    source: Source = dataclasses.field(repr=False, compare=False)

    def check(self, see: View, vals: Values) -> Check:
        if see.host.read(STAMP) == self._stamp():
            return Ok()
        return Drift("check every file against its sum", "create")

    def _stamp(self) -> bytes:
        return f"{self.source.identity()}\n".encode()

    def apply(self, do: Target, vals: Values) -> None:
        identity = self._stamp()
        self.source.verify()
        do.host.write(STAMP, identity, 0o600)


def steps(node: NodeSettings, catalog: Catalog, source: Source) -> tuple[Step, ...]:
    """One step; every binary and image comes after it."""
    size = sum(b.size for b in catalog.binaries) + sum(i.size for i in catalog.images)
    verified = Verified(
        id=VERIFIED,
        title="Verify binaries and images",
        on=node.name,
        after=frozenset({"trees/"}),
        cost=size / SUMS_PER_SECOND,
        source=source,
    )
    return (verified,)


def binary(
    step_id: str,
    node: NodeSettings,
    catalog: Catalog,
    source: Source,
    name: str,
    reader: basic.Reader | None = None,
) -> Step:
    """The step that installs one binary of the catalog; `reader` is the unit that runs it."""
    wanted = catalog.binary(name)
    return basic.EnsureBinary(
        id=step_id,
        title=f"Install {name} {wanted.version}",
        on=node.name,
        after=frozenset({VERIFIED, "trees/"}),
        holds=frozenset({INSTALLING}),
        cost=0.05 + wanted.size / 200e6,
        binary=wanted,
        source=source,
        reader=reader,
    )


def inputs(step_id: str, node: NodeSettings, unit: str, digest: str, after: frozenset[Ref]) -> Step:
    """The drop-in that puts the digest of a unit's inputs into its process's environment."""
    return basic.EnsureFile(
        id=step_id,
        title=f"Write what {unit} is started from",
        on=node.name,
        after=after,
        path=f"/etc/systemd/system/{unit}.d/10-kubeboot-inputs.conf",
        data=f"[Service]\nEnvironment={basic.INPUTS}={digest}\n".encode(),
    )
