"""A control plane that leaves: who it is to etcd, and by which of the others the cluster is reached."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.fleet import shared
from kubeboot.fleet.run import Others
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.kube import dial, facts
from kubeboot.kube.api import Api
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.etcd import EtcdView
from kubeboot.pki import endpoint, kubeconfig, table
from kubeboot.plan import remove
from kubeboot.steps import haproxy
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.etcd import local as etcd_local
from kubeboot.steps.etcd import machine as etcd_machine

Server = tuple[str, int]
"""An API server: address and port."""


@dataclasses.dataclass(frozen=True)
class Leaving:
    """The steps before a reset, and what they reach."""

    steps: tuple[Step, ...] = ()
    others: Others = dataclasses.field(default_factory=Others)


def find(see: HostView, dialler: dial.Dialler = dial.direct) -> Leaving:
    """Nothing on a worker, and nothing on a control plane that is the last one."""
    if etcd_machine.described(see) is not None:
        return _etcd_machine(see, dialler)
    external = external_etcd.found(see)
    given = shared.on_disk(see, external)
    if not shared.is_complete(given, external):
        return Leaving()
    mine = addresses(see)
    known = [server for server in _listed(see, given, mine, dialler) if server[0] not in mine]
    peers = _peers(given, mine, dialler) if external is None else None
    hosts = list(dict.fromkeys([*(host for host, _ in known), *(peers or ())]))
    if peers == [] or not hosts:
        return Leaving()
    port = known[0][1] if known else 6443
    api = Deferred(lambda: _answering(given, [endpoint.url(host, port) for host in hosts], dialler))
    if external is not None:
        going = remove.Going(see.name, mine, hosts[0], given["ca.crt"], stacked=False)
        made = remove.steps("leave", going, by_name=False)
        return Leaving(made, Others(api))
    etcd = shared.members(given, [*hosts, *mine], api, see.name, dialler=dialler)
    gone = (*mine, *_before(see, mine, etcd))
    stays = next((host for host in hosts if host not in gone), hosts[0])
    going = remove.Going(see.name, gone, stays, given["ca.crt"])
    made = remove.steps("leave", going, by_name=False)
    return Leaving(made, Others(api, etcd))


def _before(see: HostView, mine: tuple[str, ...], etcd: EtcdView) -> tuple[str, ...]:
    """Where etcd knows its member, if the machine has another address now."""
    local = etcd_local.find(see)
    if local is None or local.address in mine:
        return ()
    try:
        found = etcd.members()
    except errors.KubebootError:
        return ()
    return tuple({local.address for m in found if m.name == local.name and m.has_peer(local.address)})


def _listed(
    see: HostView, given: Mapping[str, bytes], mine: tuple[str, ...], dialler: dial.Dialler
) -> tuple[Server, ...]:
    """The API servers that there are, as one of them says, this machine's own if it answers; else as haproxy
    knows them, which forgets those that are gone only after an hour. Without haproxy: by the endpoint.
    """
    known = haproxy.known(see)
    own_first = sorted(known, key=lambda server: server[0] not in mine)
    for where in [endpoint.url(*server) for server in own_first] or _endpoint(see):
        if found := _told(shared.administrator(given, where, dialler=dialler)):
            return found
    return known


def _told(api: Api) -> tuple[Server, ...]:
    """What an API server says, if it is ready: without etcd's quorum an answer takes long, and is none."""
    try:
        return () if api.ready() is not None else facts.control_planes(api)
    except errors.KubebootError:
        return ()


def _endpoint(see: HostView) -> list[str]:
    try:
        return [kubeconfig.decode(see.read(f"{table.KUBECONFIGS}/admin.conf") or b"").server]
    except ValueError:
        return []


def _etcd_machine(see: HostView, dialler: dial.Dialler) -> Leaving:
    """A machine of etcd's own has nothing else to leave, and not even that before etcd has begun."""
    names = {f"etcd/ca.{end}": see.read(f"{table.DIRECTORY}/etcd/ca.{end}") for end in ("crt", "key")}
    given = {name: data for name, data in names.items() if data}
    spec = etcd_machine.described(see) or ClusterSpec()
    if len(given) < len(names) or see.stat(f"{spec.etcd.data_dir}/member") is None:
        return Leaving()
    mine = addresses(see)
    known = [*(_peers(given, mine, dialler) or ()), *etcd_machine.neighbours(see)]
    etcd = shared.members(given, dict.fromkeys((*known, *mine)), dialler=dialler)
    made = remove.leave_etcd("leave", see.name, mine, by_name=False)
    return Leaving((made,), Others(etcd=etcd))


def addresses(see: HostView) -> tuple[str, ...]:
    """This machine's own, but for loopback."""
    return of_nics(see.facts())


def of_nics(machine: Facts) -> tuple[str, ...]:
    """A machine's addresses, but for loopback."""
    found = (ipaddress.ip_interface(text).ip for nic in machine.nics for text in nic.addresses)
    return tuple(str(ip) for ip in found if not ip.is_loopback and not ip.is_link_local)


def _peers(given: Mapping[str, bytes], mine: tuple[str, ...], dialler: dial.Dialler) -> list[str] | None:
    """The other members, as this machine's own knows them; None where it does not answer."""
    try:
        members = shared.members(given, mine, dialler=dialler).members()
    except errors.KubebootError:
        return None
    urls = (url for member in members for url in member.peer_urls)
    hosts = (endpoint.split(url.split("://")[-1], 2380)[0] for url in urls)
    return [host for host in hosts if host not in mine]


def _answering(given: dict[str, bytes], servers: Iterable[str], dialler: dial.Dialler) -> Api | None:
    found = (shared.administrator(given, server, dialler=dialler) for server in servers)
    return next((api for api in found if api.ready() is None), None)
