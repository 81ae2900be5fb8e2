"""Who the parts of a cluster are to its API, and where each of them finds it."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Sequence

from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Later, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.pki import build, endpoint, inspect, kubeconfig, pem, table
from kubeboot.pki.kubeconfig import Kubeconfig
from kubeboot.steps import authorities, certificates, credentials, paths
from kubeboot.steps.kubelet import identity as kubelet_identity
from kubeboot.steps.kubelet import kubeconfig as kubelet_conf


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureKubeconfig(Step):
    """A kubeconfig with a client certificate in it, signed by the authority of this machine."""

    identity: table.Identity
    server: str
    cluster: str
    tls_server_name: str = ""
    days: int
    algorithm: str = "ECDSA-P256"
    clock: build.Clock = dataclasses.field(default=build.now, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        data = see.host.read(self.identity.path)
        name = posixpath.basename(self.identity.path)
        if data is None:
            return Drift(f"create {self.identity.path}")
        signer = vals.get(authorities.CA)
        if signer is None:
            return Later("the authority ca")
        wrong = self._problems(data, signer.reveal())
        if wrong:
            return Drift(f"{name} {' and '.join(wrong)}", "change")
        return credentials.check_private(see, self.identity.path)

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.identity.path)

    def apply(self, do: Target, vals: Values) -> None:
        signer = vals.need(authorities.CA).reveal()
        pair = self._held(do.see, signer) or self._sign(signer)
        wanted = dataclasses.replace(self._wanted(signer), certificate=pair.certificate, key=pair.key)
        do.host.write(self.identity.path, kubeconfig.encode(wanted), credentials.KEY_MODE)

    def _wanted(self, signer: build.Pair) -> Kubeconfig:
        return Kubeconfig(
            cluster=self.cluster,
            server=self.server,
            authority=signer.certificate,
            user=self.identity.common_name,
            tls_server_name=self.tls_server_name,
        )

    def _problems(self, data: bytes, signer: build.Pair) -> tuple[str, ...]:
        try:
            found = kubeconfig.decode(data)
        except ValueError as problem:
            return (f"is {problem}",)
        inside = self._pair_problems(build.Pair(found.certificate, found.key), signer)
        told = tuple(f"has a certificate that {problem}" for problem in inside)
        return (*kubeconfig.differences(found, self._wanted(signer)), *told)

    def _pair_problems(self, pair: build.Pair, signer: build.Pair) -> tuple[str, ...]:
        renew = certificates.renew_days(self.days)
        profile, parent = self.identity.profile, signer.certificate
        return inspect.problems(
            pair.certificate, pair.key, profile, parent, at=self.clock(), renew_days=renew
        )

    def _held(self, see: View, signer: build.Pair) -> build.Pair | None:
        """The good certificate of a kubeconfig that is wrong in another way is kept."""
        try:
            found = kubeconfig.decode(see.host.read(self.identity.path) or b"")
        except ValueError:
            return None
        pair = build.Pair(found.certificate, found.key)
        return None if self._pair_problems(pair, signer) else pair

    def _sign(self, signer: build.Pair) -> build.Pair:
        key = build.new_key(self.algorithm)
        profile = self.identity.profile
        made = build.certificate(profile, key.public_key(), signer, days=self.days, at=self.clock())
        return build.Pair(made, pem.encode_key(key))


def init_steps(
    spec: ClusterSpec, node: NodeSettings, control_plane: str, clock: build.Clock = build.now
) -> tuple[Step, ...]:
    """Every kubeconfig of the first control plane, and its kubelet's certificate.

    `control_plane` is the controlPlaneEndpoint ("host:port"), which any apiserver may stand behind.
    """
    embedded = _embeddeds(spec, node, control_plane, clock)
    kubelet = kubelet_conf.step(spec, node, _kubelet_servers(spec, node))
    return (*embedded, kubelet, _kubelet_certificate(spec, node, clock))


def join_steps(
    spec: ClusterSpec, node: NodeSettings, control_plane: str, clock: build.Clock = build.now
) -> tuple[Step, ...]:
    """Those of a further control plane: super-admin.conf stays on the first.

    The kubelet is there long before its API server: it goes by haproxy, to those that answer meanwhile.
    """
    made = _embeddeds(spec, node, control_plane, clock)
    embedded = (step for step in made if step.id != "kubeconfig/super-admin")
    kubelet = kubelet_conf.step(spec, node, _kubelet_servers(spec, node)[::-1])
    return (*embedded, kubelet, _kubelet_certificate(spec, node, clock))


def _embeddeds(
    spec: ClusterSpec, node: NodeSettings, control_plane: str, clock: build.Clock
) -> tuple[Step, ...]:
    servers = {False: (f"https://{control_plane}", table.SERVER_NAME), True: (_own(spec, node), "")}
    return tuple(_embedded(row, *servers[row.local], spec, node, clock) for row in table.IDENTITIES)


def _kubelet_servers(spec: ClusterSpec, node: NodeSettings) -> tuple[str, ...]:
    return balancing.control_plane_servers(spec, _own(spec, node))


def _own(spec: ClusterSpec, node: NodeSettings) -> str:
    return endpoint.url(node.address, spec.api_server.bind_port)


def _embedded(
    row: table.Identity,
    server: str,
    tls_server_name: str,
    spec: ClusterSpec,
    node: NodeSettings,
    clock: build.Clock,
) -> Step:
    return EnsureKubeconfig(
        id=f"kubeconfig/{row.name}",
        title=f"Write {row.name}.conf",
        on=node.name,
        needs=frozenset({authorities.CA}),
        identity=row,
        server=server,
        cluster=spec.cluster_name,
        tls_server_name=tls_server_name,
        days=spec.certificates.validity_days,
        algorithm=spec.certificates.algorithm,
        clock=clock,
    )


def _kubelet_certificate(spec: ClusterSpec, node: NodeSettings, clock: build.Clock) -> Step:
    return kubelet_identity.EnsureKubeletCertificate(
        id="kubelet/client-certificate",
        title="Issue the kubelet's client certificate",
        on=node.name,
        needs=frozenset({authorities.CA}),
        profile=table.kubelet_profile(node.name),
        days=spec.certificates.validity_days,
        algorithm=spec.certificates.algorithm,
        clock=clock,
    )
