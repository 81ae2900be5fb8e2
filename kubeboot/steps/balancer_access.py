"""What a machine with nothing but haproxy may know of the cluster: where its API servers are, and no more.

It has a ServiceAccount's token, in a file, by which it reads the endpoints and asks for its next one.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Sequence

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube import rbac
from kubeboot.pki import build, endpoint, kubeconfig, table
from kubeboot.steps import basic, credentials, paths

KUBECONFIG = f"{table.KUBECONFIGS}/load-balancer.conf"
TOKEN = f"{table.KUBECONFIGS}/load-balancer.token"
MODE = 0o600


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureBalancerToken(Step):
    """A token that has not expired. What renews it is the timer, long before."""

    days: int
    clock: build.Clock = dataclasses.field(default=build.now, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        data = see.host.read(TOKEN)
        if data is None:
            return Drift(f"create {TOKEN}")
        until = expiry(data)
        if until is None:
            return Drift(f"{TOKEN} holds no token of {rbac.BALANCER}", "change")
        if until <= self.clock().timestamp():
            return Drift(f"{TOKEN} has expired", "change")
        exposed = credentials.exposed(see, TOKEN, MODE)
        return Drift(exposed, "change") if exposed else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, TOKEN)

    def apply(self, do: Target, vals: Values) -> None:
        made = do.api.create(rbac.balancer_token(self.days * 86400))
        do.host.write(TOKEN, str(made["status"]["token"]).encode(), MODE)


def expiry(token: bytes) -> float | None:
    """When it ends, in seconds since the epoch; None for what is no token of a balancer. Proves nothing."""
    try:
        payload = token.split(b".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return float(said["exp"]) if said["sub"] == rbac.BALANCER_USER else None
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def steps(
    spec: ClusterSpec, node: NodeSettings, authority: bytes, clock: build.Clock = build.now
) -> tuple[Step, ...]:
    """The token, by an API that knows the join token, and the kubeconfig that names it."""
    config = kubeconfig.Kubeconfig(
        cluster=spec.cluster_name,
        server=endpoint.url("127.0.0.1", spec.load_balancer.port),
        authority=authority,
        user=rbac.BALANCER,
        token_file=TOKEN,
        tls_server_name=table.SERVER_NAME,
    )
    return (
        EnsureBalancerToken(
            id="kubeconfig/load-balancer-token",
            title="Get the token that keeps haproxy's servers current",
            on=node.name,
            after=frozenset({"trees/"}),
            days=spec.certificates.validity_days,
            clock=clock,
        ),
        basic.EnsureFile(
            id="kubeconfig/load-balancer",
            title="Write load-balancer.conf",
            on=node.name,
            after=frozenset({"trees/"}),
            path=KUBECONFIG,
            data=kubeconfig.encode(config),
            mode=MODE,
        ),
    )
