"""Who is removed from a cluster: a machine told by its name or an address, whatever is left of it there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from kubeboot.kube import surroundings
from kubeboot.kube.api import ApiView, Object
from kubeboot.kube.etcd import Member
from kubeboot.pki import endpoint
from kubeboot.steps.etcd import local as etcd_local


@dataclasses.dataclass(frozen=True)
class Gone:
    """Who is removed: by its Node, where there is one, and by every address that is known of it."""

    name: str
    node: Object | None
    addresses: tuple[str, ...]
    known: bool


def who(said: str, api: ApiView, members: Iterable[Member]) -> Gone:
    """By its name or an address: a learner that was never started has no name, and a Node may be gone.

    An address that another Node or member has by now is theirs.
    """
    listed, found = api.list("v1", "Node"), tuple(members)
    node = next((n for n in listed if n["metadata"]["name"] == said), None)
    node = node or next((n for n in listed if said in surroundings.addresses(n)), None)
    there = next((m for m in found if said == m.name or m.has_peer(said)), None)
    name = str(node["metadata"]["name"]) if node else (there.name if there else "") or said
    mine, others = [m for m in found if m.name == name], [m for m in found if m.name not in ("", name)]
    taken = {
        *_hosts(others),
        *(a for n in listed if n["metadata"]["name"] != name for a in surroundings.addresses(n)),
    }
    known = (
        *(surroundings.addresses(node) if node else ()),
        *_hosts(mine),
        *((said,) if endpoint.is_ip(said) else ()),
    )
    addresses = tuple(address for address in dict.fromkeys(known) if address not in taken)
    return Gone(name, node, addresses, bool(node or there))


def _hosts(members: Iterable[Member]) -> Iterator[str]:
    return (etcd_local.host_of(url) for member in members for url in member.peer_urls)
