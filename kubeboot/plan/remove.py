"""`kubeboot node remove`: the cluster goes on without a machine, whether that is still alive or not."""

from __future__ import annotations

import dataclasses

from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.steps import draining, foreign_nodes, leaving


@dataclasses.dataclass(frozen=True)
class Going:
    """A machine that leaves its cluster; the endpoint leads `to` a control plane that stays.

    `authority` (PEM) is the cluster's. `stacked`: etcd's members are on control planes, and nowhere else.
    """

    node: str
    addresses: tuple[str, ...]
    to: str
    authority: bytes = dataclasses.field(repr=False)
    stacked: bool = True


def steps(prefix: str, going: Going, by_name: bool = True) -> tuple[Step, ...]:
    """etcd first; the endpoint, if it was theirs; the Node last: a rerun knows the addresses by it."""
    node, addresses = going.node, going.addresses
    leave = leave_etcd(prefix, node, addresses, by_name)
    etcd = (dataclasses.replace(leave, settle=leaving.ApiAnswers()),) if going.stacked else ()
    after = frozenset(step.id for step in etcd)
    moved = leaving.EndpointElsewhere(
        id=f"{prefix}/endpoint",
        title="Point the endpoint to a control plane that stays",
        on=CLUSTER,
        after=after,
        gone=addresses,
        to=going.to,
        authority=going.authority,
    )
    servers = foreign_nodes.forget(prefix, node, after)
    forgotten = leaving.NoNode(
        id=f"{prefix}/node",
        title=f"Delete Node {node}",
        on=CLUSTER,
        after=frozenset({moved.id, servers.id}),
        node=node,
    )
    return (*etcd, moved, servers, forgotten)


def emptied(node: str, within: float) -> tuple[Step, ...]:
    """What runs there goes elsewhere, in `within` seconds, or is known not to run any more."""
    return (
        draining.Cordon(id="remove/cordon", title=f"Cordon {node}", on=CLUSTER, node=node),
        draining.Drain(
            id="remove/drain",
            title=f"Drain {node}",
            on=CLUSTER,
            after=frozenset({"remove/cordon"}),
            node=node,
            within=within,
        ),
        draining.Detach(
            id="remove/volumes",
            title=f"Detach what a dead {node} holds",
            on=CLUSTER,
            after=frozenset({"remove/drain"}),
            node=node,
            settle=draining.Detached(node),
        ),
    )


def leave_etcd(prefix: str, name: str, addresses: tuple[str, ...], by_name: bool = True) -> Step:
    """etcd does without the member at these addresses, or with this name."""
    return leaving.LeaveEtcd(
        id=f"{prefix}/etcd",
        title=f"Take {name} out of etcd",
        on=CLUSTER,
        addresses=addresses,
        member=name if by_name else "",
    )


def plan(here: str, going: Going, drain: float | None) -> Plan:
    """Run on any control plane, `here`. `drain`: seconds for its pods to go; None: nobody asks for them."""
    node = going.node
    before = emptied(node, drain) if drain is not None else ()
    first = frozenset(step.id for step in before)
    gone = steps("remove", going)
    pods = draining.NoPods(
        id="remove/pods",
        title=f"Delete the pods of {node}",
        on=CLUSTER,
        after=frozenset({"remove/node"}),
        node=node,
    )
    made = (*before, *(dataclasses.replace(step, after=step.after | first) for step in gone), pods)
    return Plan("node-remove", f"{node}: remove it from the cluster", made, {here: "control_plane"})
