"""The PKI of a control plane, and the one file of it that a worker has.

Order on the disk is key first, certificate second, and a usable key is always kept: killed anywhere, the
next run signs for the key that it finds, and whoever runs with the pair never sees halves that do not match.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Later, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.pki import build, inspect, pem, table
from kubeboot.steps import authorities, credentials, paths
from kubeboot.steps.credentials import PairFiles

RENEW_DAYS = 30


def renew_days(validity_days: int) -> int:
    """A certificate is signed again in its last 30 days, a short-lived one in its last third."""
    return min(RENEW_DAYS, validity_days // 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureCertificate(Step):
    """A certificate and its key, signed by an authority of this machine."""

    row: table.Certificate
    profile: table.Profile
    days: int
    algorithm: str = "ECDSA-P256"
    clock: build.Clock = dataclasses.field(default=build.now, repr=False)

    @property
    def files(self) -> PairFiles:
        """Where the certificate and its key are."""
        return credentials.pair_files(self.row.file)

    def check(self, see: View, vals: Values) -> Check:
        certificate = see.host.read(self.files.certificate)
        if certificate is None:
            return Drift(f"create {self.files.certificate} and its key")
        signer = vals.get(authorities.AUTHORITIES[self.row.signer])
        if signer is None:
            return Later(f"the authority {self.row.signer}")
        wrong = self._problems(certificate, see.host.read(self.files.key), signer.reveal())
        if wrong:
            return Drift(f"{self.files.name} {' and '.join(wrong)}", "change")
        return self.files.check_modes(see)

    def undo(self, see: View) -> Sequence[Undo]:
        return (*self.files.key_before(see), *paths.undo(see, self.files.certificate))

    def apply(self, do: Target, vals: Values) -> None:
        signer = vals.need(authorities.AUTHORITIES[self.row.signer]).reveal()
        key = credentials.ensure_key(do, self.files.key, self.algorithm)
        found = do.host.read(self.files.certificate)
        if found is None or self._problems(found, pem.encode_key(key), signer):
            made = build.certificate(self.profile, key.public_key(), signer, days=self.days, at=self.clock())
            do.host.write(self.files.certificate, made, credentials.CERTIFICATE_MODE)
        self.files.protect(do)

    def _problems(self, certificate: bytes, key: bytes | None, signer: build.Pair) -> tuple[str, ...]:
        renew = renew_days(self.days)
        return inspect.problems(
            certificate, key, self.profile, signer.certificate, at=self.clock(), renew_days=renew
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureKeyPair(Step):
    """The key that signs ServiceAccount tokens, and its public half; never replaced: tokens depend on it."""

    algorithm: str = "ECDSA-P256"

    @property
    def files(self) -> PairFiles:
        """The public half stands where others have their certificate."""
        return PairFiles(f"{table.DIRECTORY}/sa.pub", f"{table.DIRECTORY}/sa.key")

    def check(self, see: View, vals: Values) -> Check:
        data, public = see.host.read(self.files.key), see.host.read(self.files.certificate)
        key = credentials.usable_key(data)
        if key is None:
            return self._no_key(data, public)
        if public is None:
            return Drift(f"create {self.files.certificate}")
        if not pem.holds(public, key):
            return credentials.unusable(f"{self.files.certificate} does not hold the public half of sa.key")
        return self.files.check_modes(see)

    def _no_key(self, data: bytes | None, public: bytes | None) -> Check:
        if data is not None:
            return credentials.unusable(f"{self.files.key} is not a private key")
        if public is not None:
            return credentials.unusable(f"{self.files.certificate} is there without sa.key")
        return Drift(f"create {self.files.key} and {self.files.certificate}")

    def undo(self, see: View) -> Sequence[Undo]:
        if see.host.stat(self.files.certificate) is not None:
            return self.files.modes_before(see)
        return (*self.files.key_before(see), *paths.undo(see, self.files.certificate))

    def apply(self, do: Target, vals: Values) -> None:
        key = credentials.ensure_key(do, self.files.key, self.algorithm)
        if do.host.read(self.files.certificate) is None:
            do.host.write(self.files.certificate, pem.encode_public(key.public_key()), credentials.KEY_MODE)
        self.files.protect(do)


def site(spec: ClusterSpec, node: NodeSettings) -> table.Site:
    """What the names in this machine's certificates depend on."""
    return table.Site(
        node=node.name,
        address=node.address,
        service_subnet=spec.networking.service_subnet,
        dns_domain=spec.networking.dns_domain,
        control_plane_endpoint=spec.control_plane_endpoint,
        cert_sans=(*filter(None, (balancing.virtual_address(spec),)), *spec.api_server.cert_sans),
        etcd_server_sans=spec.etcd.server_cert_sans,
        etcd_peer_sans=spec.etcd.peer_cert_sans,
    )


def init_steps(spec: ClusterSpec, node: NodeSettings, clock: build.Clock = build.now) -> tuple[Step, ...]:
    """The whole PKI of the first control plane."""
    pair = EnsureKeyPair(
        id="pki/sa",
        title="Make the key for ServiceAccount tokens",
        on=node.name,
        algorithm=spec.certificates.algorithm,
    )
    roots = tuple(authority(row, spec, node, clock) for row in authorities.rows(spec))
    return (*roots, pair, *leaves(spec, node, clock))


def leaves(spec: ClusterSpec, node: NodeSettings, clock: build.Clock = build.now) -> tuple[Step, ...]:
    """What each control plane signs for itself."""
    signers = {row.name for row in authorities.rows(spec)}
    return issued(spec, node, (row for row in table.CERTIFICATES if row.signer in signers), clock)


def issued(
    spec: ClusterSpec, node: NodeSettings, rows: Iterable[table.Certificate], clock: build.Clock = build.now
) -> tuple[Step, ...]:
    """One step for each of these certificates."""
    here = site(spec, node)
    return tuple(_certificate(row, here, spec, node, clock) for row in rows)


def worker_steps(node: NodeSettings, authority: bytes) -> tuple[Step, ...]:
    """All that a worker has of the PKI: the certificate (PEM) that discovery has verified."""
    title = "Install the cluster's CA certificate"
    step = authorities.EnsureCaCertificate(id="pki/ca-certificate", title=title, on=node.name, data=authority)
    return (step,)


def authority(row: table.Authority, spec: ClusterSpec, node: NodeSettings, clock: build.Clock) -> Step:
    """An authority that this machine makes."""
    signed = (leaf for leaf in table.CERTIFICATES if leaf.signer == row.name)
    return authorities.EnsureAuthority(
        id=f"pki/{row.name}",
        title=f"Make the authority {row.common_name}",
        on=node.name,
        gives=frozenset({authorities.AUTHORITIES[row.name]}),
        row=row,
        leaves=tuple(credentials.pair_files(leaf.file) for leaf in signed),
        days=spec.certificates.ca_validity_days,
        algorithm=spec.certificates.algorithm,
        clock=clock,
    )


def _certificate(
    row: table.Certificate, here: table.Site, spec: ClusterSpec, node: NodeSettings, clock: build.Clock
) -> Step:
    return EnsureCertificate(
        id=f"pki/{row.name}",
        title=f"Issue the certificate {row.name}",
        on=node.name,
        needs=frozenset({authorities.AUTHORITIES[row.signer]}),
        row=row,
        profile=row.profile(here),
        days=spec.certificates.validity_days,
        algorithm=spec.certificates.algorithm,
        clock=clock,
    )
