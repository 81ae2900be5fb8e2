"""What everything else is signed by, and trusts. An authority is never replaced."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Key, Secret, Values
from kubeboot.pki import build, inspect, pem, table
from kubeboot.steps import credentials, paths
from kubeboot.steps.credentials import PairFiles

AUTHORITIES: Mapping[str, Key[Secret[build.Pair]]] = MappingProxyType(
    {row.name: Key(f"authority/{row.name}") for row in table.AUTHORITIES}
)
"""An authority's certificate and key, by its name in pki.table; given by step `pki/<name>`."""

CA = AUTHORITIES["ca"]
ETCD = next(row for row in table.AUTHORITIES if row.name == "etcd-ca")


def rows(spec: ClusterSpec) -> tuple[table.Authority, ...]:
    """A control plane's; an etcd that runs elsewhere has an authority of its own."""
    external = spec.etcd.external is not None
    return tuple(row for row in table.AUTHORITIES if not (external and row == ETCD))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureAuthority(Step):
    """A self-signed authority. `leaves` are the certificates that it signs."""

    row: table.Authority
    leaves: tuple[PairFiles, ...]
    days: int
    algorithm: str = "ECDSA-P256"
    clock: build.Clock = dataclasses.field(default=build.now, repr=False)

    @property
    def files(self) -> PairFiles:
        """The authority's own two files."""
        return credentials.pair_files(self.row.file)

    def check(self, see: View, vals: Values) -> Check:
        certificate, key = see.host.read(self.files.certificate), see.host.read(self.files.key)
        if certificate is None:
            return self._lost(see, key) or Drift(f"create {self.files.certificate} and its key")
        if key is None:
            return Blocked(
                f"{self.files.certificate} exists without its key: nothing can be signed",
                hint=f"put its key at {self.files.key}; external authorities are not supported yet",
                reason="KB_CA_KEY_MISSING",
            )
        wrong = inspect.authority_problems(certificate, key, at=self.clock())
        if wrong:
            return credentials.unusable(f"{self.files.certificate} {' and '.join(wrong)}")
        return self.files.check_modes(see)

    def _lost(self, see: View, key: bytes | None) -> Blocked | None:
        """A new authority must not orphan what an old one has signed; one made from the old key does not."""
        usable = credentials.usable_key(key)
        if key is not None and usable is None:
            return credentials.unusable(f"{self.files.key} is not a private key")
        again = self._sign(usable) if usable else b""
        for leaf in self.leaves:
            found = see.host.read(leaf.certificate)
            if found is not None and not inspect.is_issued(found, again):
                return credentials.unusable(f"{self.files.certificate}, which signed {leaf.name}, is missing")
        return None

    def undo(self, see: View) -> Sequence[Undo]:
        if see.host.stat(self.files.certificate) is not None:
            return self.files.modes_before(see)
        return (*self.files.key_before(see), *paths.undo(see, self.files.certificate))

    def apply(self, do: Target, vals: Values) -> None:
        key = credentials.ensure_key(do, self.files.key, self.algorithm)
        if do.host.read(self.files.certificate) is None:
            do.host.write(self.files.certificate, self._sign(key), credentials.CERTIFICATE_MODE)
        self.files.protect(do)

    def read(self, see: View, key: Key[Secret[build.Pair]]) -> Secret[build.Pair] | None:
        certificate, private = see.host.read(self.files.certificate), see.host.read(self.files.key)
        return Secret(build.Pair(certificate, private)) if certificate and private else None

    def _sign(self, key: pem.PrivateKey) -> bytes:
        return build.authority(self.row.common_name, key, days=self.days, at=self.clock())


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureCaCertificate(Step):
    """The cluster's CA certificate on a worker: what its kubelet and its load balancer trust."""

    data: bytes = dataclasses.field(repr=False)
    path: str = f"{table.DIRECTORY}/ca.crt"

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.read(self.path)
        name = posixpath.basename(self.path)
        if found is None:
            return Drift(f"create {self.path}")
        try:
            has, wants = set(pem.certificates(found)), set(pem.certificates(self.data))
        except ValueError:
            return credentials.unusable(f"{self.path} is not a readable certificate")
        if has.isdisjoint(wants):
            return _foreign(self.path)
        wrong = credentials.exposed(see, self.path, credentials.CERTIFICATE_MODE)
        if wrong or not wants <= has:
            return Drift(wrong or f"{name} lacks an authority of the cluster", "change")
        return Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.path)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.write(self.path, self.data, credentials.CERTIFICATE_MODE)


def _foreign(path: str) -> Blocked:
    return Blocked(
        f"{path} is another cluster's authority",
        hint="to move this machine, run `kubeboot reset` on it first",
        reason="KB_OTHER_CLUSTER",
    )
