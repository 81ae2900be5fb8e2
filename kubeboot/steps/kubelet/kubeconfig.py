"""The kubelet's kubeconfig, which refers to the certificate that it rotates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Later, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.pki import kubeconfig, table
from kubeboot.pki.kubeconfig import Kubeconfig
from kubeboot.steps import authorities, credentials, paths
from kubeboot.steps.kubelet import identity

PATH = f"{table.KUBECONFIGS}/kubelet.conf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureKubeletKubeconfig(Step):
    """The kubelet's kubeconfig: it refers to a certificate in another file, and holds no secret.

    `authority` is None on a control plane, where step pki/ca gives it. Any of `servers` will do: one that it
    leads to stays, and a new one leads to the first.
    """

    node: str
    servers: tuple[str, ...]
    cluster: str
    authority: bytes | None = dataclasses.field(default=None, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        data = see.host.read(PATH)
        if data is None:
            return Drift(f"create {PATH}")
        wanted = self._wanted(data, vals)
        if wanted is None:
            return Later("the authority ca")
        try:
            wrong = kubeconfig.differences(kubeconfig.decode(data), wanted)
        except ValueError as problem:
            wrong = (f"is {problem}",)
        if wrong:
            return Drift(f"kubelet.conf {' and '.join(wrong)}", "change")
        return credentials.check_private(see, PATH)

    def undo(self, see: View) -> Sequence[Undo]:
        return (*identity.undo_end(see), *paths.undo(see, PATH))

    def apply(self, do: Target, vals: Values) -> None:
        found = do.host.read(PATH)
        wanted = self._wanted(found or b"", vals)
        if wanted is None:
            raise KeyError(authorities.CA.name)
        data = kubeconfig.encode(wanted)
        if found != data:
            identity.end(do)
        do.host.write(PATH, data, credentials.KEY_MODE)

    def _wanted(self, found: bytes, vals: Values) -> Kubeconfig | None:
        signer = vals.get(authorities.CA)
        authority = self.authority or (signer and signer.reveal().certificate)
        if not authority:
            return None
        return Kubeconfig(
            cluster=self.cluster,
            server=self._server(found),
            authority=authority,
            user=table.kubelet_profile(self.node).common_name,
            certificate_file=identity.CURRENT,
            key_file=identity.CURRENT,
        )

    def _server(self, found: bytes) -> str:
        try:
            now = kubeconfig.decode(found).server
        except ValueError:
            now = ""
        return now if now in self.servers else self.servers[0]


def step(
    spec: ClusterSpec, node: NodeSettings, servers: tuple[str, ...], authority: bytes | None = None
) -> Step:
    """kubelet.conf of a machine."""
    return EnsureKubeletKubeconfig(
        id="kubeconfig/kubelet",
        title="Write kubelet.conf",
        on=node.name,
        needs=frozenset() if authority else frozenset({authorities.CA}),
        node=node.name,
        servers=servers,
        cluster=spec.cluster_name,
        authority=authority,
    )


def worker_step(spec: ClusterSpec, node: NodeSettings, authority: bytes) -> Step:
    """kubelet.conf of a worker, by way of its own load balancer where it has one."""
    return step(spec, node, (balancing.worker_server(spec),), authority)
