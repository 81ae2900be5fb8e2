"""A kubelet's client certificate, kept as the kubelet's own certificate store keeps it.

The store is a link `kubelet-client-current.pem` to a file with certificate and key. The kubelet rotates by
writing a new file and moving the link; whatever good certificate the link leads to is accepted. Our file has
a fixed name, so that a run that was killed before the link finds it again.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Sequence

from kubeboot.engine.step import Check, Drift, Later, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.pki import build, inspect, pem, table
from kubeboot.steps import authorities, credentials, paths
from kubeboot.steps.units import undo_unit

STORE = "/var/lib/kubelet/pki"
CURRENT = f"{STORE}/kubelet-client-current.pem"
OURS = f"{STORE}/kubelet-client-kubeboot.pem"
UNIT = "kubelet.service"


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who the kubelet is, and who must have said so (certificates in PEM), at a moment."""

    profile: table.Profile
    authority: bytes
    clock: build.Clock

    def problems(self, found: bytes) -> tuple[str, ...]:
        """What is wrong with certificate and key in one file. Renewal is the kubelet's own affair."""
        return inspect.problems(found, found, self.profile, self.authority, at=self.clock())

    def held(self, see: View) -> bytes | None:
        """A good certificate with its key that this machine has already."""
        files = (see.host.read(path) for path in (CURRENT, OURS))
        return next((data for data in files if data is not None and not self.problems(data)), None)

    def check(self, see: View) -> Check:
        """Whether a kubelet that starts now finds who it is."""
        link, data = see.host.stat(CURRENT), see.host.read(CURRENT)
        name = posixpath.basename(CURRENT)
        if link is None:
            return Drift(f"create {CURRENT}")
        if data is None:
            return Drift(f"{name} leads nowhere", "change")
        if link.target is None:
            return Drift(f"{name} is a file, and the kubelet wants a link there", "change")
        wrong = self.problems(data)
        if wrong:
            return Drift(f"{name} {' and '.join(wrong)}", "change")
        return credentials.check_private(see, _target(link.target))


def ensure(do: Target, identity: Identity, make: Callable[[], bytes]) -> None:
    """Leave what the kubelet goes by alone if it is good; else store what is held, or what `make` gives."""
    link = do.host.stat(CURRENT)
    if link and link.target and not identity.problems(do.host.read(CURRENT) or b""):
        protect(do)
    else:
        store(do, identity.held(do.see) or make())


def store(do: Target, data: bytes) -> None:
    """Write certificate and key, then move the link; both are atomic."""
    end(do)
    if do.host.read(OURS) != data:
        do.host.write(OURS, data, credentials.KEY_MODE)
    do.host.symlink(CURRENT, OURS)
    protect(do)


def end(do: Target) -> None:
    """A kubelet that runs holds on to who it was: it ends before that changes, and is started later."""
    if do.host.unit(UNIT).active == "active":
        do.host.stop(UNIT)


def undo_end(see: View) -> Sequence[Undo]:
    """What takes `end` back."""
    return undo_unit(see, UNIT) if see.host.unit(UNIT).active == "active" else ()


def protect(do: Target) -> None:
    """Nobody but root reads what the link leads to."""
    link = do.host.stat(CURRENT)
    target = _target(link.target) if link and link.target else CURRENT
    if credentials.exposed(do.see, target, credentials.KEY_MODE):
        do.host.chmod(target, credentials.KEY_MODE)


def undo(see: View) -> tuple[Undo, ...]:
    """What takes `store` and `protect` back."""
    link = see.host.stat(CURRENT)
    target = _target(link.target) if link and link.target else OURS
    modes = () if target == OURS else credentials.mode_before(see, target, credentials.KEY_MODE)
    return (*undo_end(see), *paths.undo(see, OURS), *paths.undo(see, CURRENT), *modes)


def _target(text: str) -> str:
    return posixpath.join(STORE, text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureKubeletCertificate(Step):
    """The kubelet's client certificate on a control plane, signed by the authority that is there."""

    profile: table.Profile
    days: int
    algorithm: str = "ECDSA-P256"
    clock: build.Clock = dataclasses.field(default=build.now, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        signer = vals.get(authorities.CA)
        if signer is not None:
            return Identity(self.profile, signer.reveal().certificate, self.clock).check(see)
        if see.host.stat(CURRENT) is None:
            return Drift(f"create {CURRENT}")
        return Later("the authority ca")

    def undo(self, see: View) -> Sequence[Undo]:
        return undo(see)

    def apply(self, do: Target, vals: Values) -> None:
        signer = vals.need(authorities.CA).reveal()
        ensure(do, Identity(self.profile, signer.certificate, self.clock), lambda: self._sign(signer))

    def _sign(self, signer: build.Pair) -> bytes:
        key = build.new_key(self.algorithm)
        made = build.certificate(self.profile, key.public_key(), signer, days=self.days, at=self.clock())
        return made + pem.encode_key(key)
