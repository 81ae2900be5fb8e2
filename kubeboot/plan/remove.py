"""`kubeboot node remove`: the cluster forgets a machine that is gone."""

from __future__ import annotations

from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.steps import leaving


def steps(
    prefix: str, node: str, addresses: tuple[str, ...], to: str, authority: bytes, by_name: bool = True
) -> tuple[Step, ...]:
    """etcd first; the Node; the endpoint, if it was this machine's. `to`: a control plane that stays."""
    etcd = leaving.LeaveEtcd(
        id=f"{prefix}/etcd",
        title=f"Take {node} out of etcd",
        on=CLUSTER,
        addresses=addresses,
        member=node if by_name else "",
    )
    after = frozenset({etcd.id})
    return (
        etcd,
        leaving.NoNode(id=f"{prefix}/node", title=f"Delete Node {node}", on=CLUSTER, after=after, node=node),
        leaving.EndpointElsewhere(
            id=f"{prefix}/endpoint",
            title="Lead to a control plane that stays",
            on=CLUSTER,
            after=after,
            gone=addresses,
            to=to,
            authority=authority,
        ),
    )


def plan(here: str, node: str, addresses: tuple[str, ...], to: str, authority: bytes) -> Plan:
    """Run on any control plane, `here`."""
    made = steps("remove", node, addresses, to, authority)
    return Plan("node-remove", f"{node}: remove it from the cluster", made, {here: "control_plane"})
