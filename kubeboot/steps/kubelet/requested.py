"""A worker's kubelet certificate: asked for with the join token, signed by the cluster.

Two steps, so that the wait between them is the engine's: the private key lies on the disk before the request
is made and the request's name follows from the key, so a run that was killed anywhere goes on with both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiUnavailable, Object
from kubeboot.pki import build, table
from kubeboot.steps import credentials, paths
from kubeboot.steps.kubelet import identity as kubelet_identity
from kubeboot.steps.kubelet.csr import API, certificate, conditions, refusal, request, request_name
from kubeboot.steps.kubelet.identity import Identity

KEY = f"{kubelet_identity.STORE}/kubelet-client.key.tmp"
"""Where the kubelet too keeps its key while it waits."""
DEADLINE = 60.0
"""Seconds for the cluster's signature."""


def _pending(profile: table.Profile, see: View) -> Object | None:
    """The request for the key that lies here."""
    key = credentials.usable_key(see.host.read(KEY))
    return see.api.get(*API, request_name(profile, key)) if key else None


@dataclasses.dataclass(frozen=True)
class Issued:
    """The wait for the cluster's signature."""

    identity: Identity
    sentence: str = "the cluster to sign the kubelet's certificate"
    deadline: float = DEADLINE

    def look(self, see: View, vals: Values) -> str | None:
        if self.identity.held(see):
            return None
        try:
            found = _pending(self.identity.profile, see)
        except ApiUnavailable as problem:
            return problem.message
        if found is None:
            return "the request is gone"
        if reason := refusal(found):
            raise errors.KubebootError(
                f"the cluster refused to sign the kubelet's certificate: {reason}",
                hint="run the same command to ask again",
                reason="KB_CSR_REFUSED",
            )
        approved = any(condition.get("type") == "Approved" for condition in conditions(found))
        return None if certificate(found) else "approved, not signed yet" if approved else "not approved yet"

    def explain(self, see: View) -> str:
        key = credentials.usable_key(see.host.read(KEY))
        name = request_name(self.identity.profile, key) if key else ""
        return (
            f"on a control plane, `kubectl get csr {name}` shows the request and "
            f"`kubectl certificate approve {name}` approves it; kube-controller-manager approves and signs"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestCertificate(Step):
    """Ask for the kubelet's certificate."""

    identity: Identity = dataclasses.field(repr=False)
    days: int
    algorithm: str = "ECDSA-P256"

    def check(self, see: View, vals: Values) -> Check:
        if self.identity.held(see):
            return Ok()
        if see.host.read(KEY) is None:
            return Drift("the kubelet has not asked for a certificate yet")
        found = _pending(self.identity.profile, see)
        if found is None:
            return Drift("the kubelet's request for a certificate is not there")
        reason = refusal(found)
        return Drift(f"the kubelet's last request was {reason}", "change") if reason else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, KEY)

    def apply(self, do: Target, vals: Values) -> None:
        profile = self.identity.profile
        found = _pending(profile, do.see)
        if found is not None and refusal(found):
            do.host.remove(KEY)
            found = None
        key = credentials.ensure_key(do, KEY, self.algorithm)
        if found is None:
            do.api.create(request(profile, key, self.days))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureKubeletCertificateByToken(Step):
    """Put the issued certificate and its key where the kubelet looks for them."""

    identity: Identity = dataclasses.field(repr=False)

    def check(self, see: View, vals: Values) -> Check:
        found = self.identity.check(see)
        if isinstance(found, Ok) and see.host.stat(KEY) is not None:
            return Drift("a second copy of the kubelet's key is left from the request", "remove")
        return found

    def undo(self, see: View) -> Sequence[Undo]:
        return kubelet_identity.undo(see)

    def apply(self, do: Target, vals: Values) -> None:
        kubelet_identity.ensure(do, self.identity, lambda: self._issued(do))
        do.host.remove(KEY)

    def _issued(self, do: Target) -> bytes:
        found = _pending(self.identity.profile, do.see)
        made = certificate(found) if found else None
        key = do.host.read(KEY)
        if made is None or key is None:
            raise errors.KubebootError(
                "the kubelet's certificate is not issued", hint="run the same command again", reason="KB_CSR"
            )
        wrong = self.identity.problems(made + key)
        if wrong:
            raise errors.KubebootError(
                f"the certificate that the cluster issued {' and '.join(wrong)}",
                hint="see who signed it: kubectl get csr; then run the same command again",
                reason="KB_CSR",
            )
        return made + key


def worker_steps(
    spec: ClusterSpec, node: NodeSettings, authority: bytes, clock: build.Clock = build.now
) -> tuple[Step, ...]:
    """A worker's certificate, by an API that knows the join token; `authority` is the cluster's (PEM)."""
    identity = Identity(table.kubelet_profile(node.name), authority, clock)
    asked = RequestCertificate(
        id="kubelet/certificate-request",
        title="Ask for the kubelet's client certificate",
        on=node.name,
        settle=Issued(identity),
        identity=identity,
        days=spec.certificates.validity_days,
        algorithm=spec.certificates.algorithm,
    )
    stored = EnsureKubeletCertificateByToken(
        id="kubelet/client-certificate",
        title="Store the kubelet's client certificate",
        on=node.name,
        after=frozenset({asked.id}),
        identity=identity,
    )
    return (asked, stored)
