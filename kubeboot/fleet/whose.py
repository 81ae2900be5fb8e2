"""Which Node a machine of an inventory is: where init and join made the cluster, its name may be another."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from kubeboot import errors
from kubeboot.fleet import leaving
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.inventory.model import Machine
from kubeboot.kube import surroundings
from kubeboot.steps import conditions


def node(cluster: Cluster, machine: Machine, there: Reached | None) -> surroundings.Machine:
    """The machine's Node; made up of name and addresses where it has left already.

    KubebootError (KB_WHICH_NODE) when that cannot be told: another machine's Node might have the name.
    """
    known = cluster.node_of(there.facts) if there else None
    mine, peers = addresses(machine, there), cluster.around.peers
    found = [known] if known else [peer for peer in peers if _same(mine, peer.addresses)]
    if len(found) == 1:
        return found[0]
    named = next((peer for peer in peers if peer.name == machine.name), None)
    sure = there is not None or machine.address is not None
    if not found and named is None and sure:
        return surroundings.Machine(machine.name, addresses=mine)
    if not found and named is not None and (not named.addresses or not (sure or _lives(cluster, named))):
        return named
    raise _unknown(machine, mine)


def addresses(machine: Machine, there: Reached | None) -> tuple[str, ...]:
    """All that are known of a machine, as ipaddress writes them; names are left out."""
    said = (machine.address, machine.access.host, *(leaving.of_nics(there.facts) if there else ()))
    return tuple(dict.fromkeys(found for text in said if text and (found := _written(text))))


def _same(mine: Iterable[str], theirs: Iterable[str]) -> bool:
    return not {_written(text) for text in theirs}.isdisjoint(mine)


def _written(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _lives(cluster: Cluster, node: surroundings.Machine) -> bool:
    """It is well, so it is hardly the Node of a machine that does not answer."""
    found = cluster.api.get("v1", "Node", node.name)
    return found is not None and conditions.is_ready(found)


def _unknown(machine: Machine, mine: tuple[str, ...]) -> errors.KubebootError:
    where = f" ({', '.join(mine)})" if mine else ""
    return errors.KubebootError(
        f"{machine.name}{where} left the inventory, and its Node is not known; nothing was removed",
        hint="`kubectl get nodes -o wide` tells; `kubeboot node remove NODE` on a control plane removes it;"
        " `kubectl -n kube-system delete secret kubeboot-fleet` makes `kubeboot up` forget the machine",
        reason="KB_WHICH_NODE",
    )
