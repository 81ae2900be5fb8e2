"""etcd from the machine of a member that a command runs on: who it is, whom it knows, who of them answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from kubeboot import errors
from kubeboot.fleet import here, shared
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.host.api import HostView
from kubeboot.kube import etcd_db
from kubeboot.kube.api import Api
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.etcd import CLIENT_PORT, PEER_PORT, Member
from kubeboot.kube.etcd_client import Client
from kubeboot.pki import endpoint
from kubeboot.steps import haproxy
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.etcd import local as etcd_local
from kubeboot.steps.etcd import machine as etcd_machine
from kubeboot.steps.etcd.local import Local, Note

_DIAL = 2.0


def local(see: HostView) -> Local:
    """This machine's member. PreflightFailed where no etcd is, and for whom its files are not."""
    if see.facts().uid != 0:
        raise errors.PreflightFailed(
            "only root may read etcd's manifest and keys", hint="run the same command with sudo"
        )
    found = etcd_local.find(see)
    if found is None and external_etcd.found(see) is not None:
        raise errors.PreflightFailed(
            "etcd runs elsewhere",
            hint="run this on one of its machines; an etcd that is not kubeboot's has its own tools",
            reason="KB_NO_ETCD",
        )
    if found is None:
        raise errors.PreflightFailed(
            f"etcd does not run on {see.name}",
            hint="run this on a control plane, or on a machine of etcd's own",
            reason="KB_NO_ETCD",
        )
    return found


def client(see: HostView, api: Api | None = None, timeout_scale: float = 1.0) -> Client:
    """Its own member first, then those of the API servers that its haproxy knows."""
    mine, given = local(see), shared.on_disk(see)
    if not {"etcd/ca.crt", "etcd/ca.key"} <= set(given):
        raise errors.PreflightFailed(
            "a certificate for etcd must be signed with its authority's key, which this machine cannot read",
            hint="run this on a control plane",
            reason="KB_NO_CERTIFICATES",
        )
    near = (*(host for host, _ in haproxy.known(see)), *etcd_machine.neighbours(see))
    hosts = dict.fromkeys((mine.address, *near))
    return shared.members(given, hosts, api, see.name, timeout_scale)


def api(see: HostView, mine: Local, timeout_scale: float = 1.0) -> Deferred | None:
    """This machine's own API server, as administrator; None on a machine of etcd's own."""
    if not mine.control_plane:
        return None
    data = etcd_local.manifest(see, "kube-apiserver")
    port = etcd_local.arguments(data).get("secure-port", "6443") if data is not None else "6443"
    return here.api(see, (ADMIN_CONF,), endpoint.url(mine.address, int(port)), timeout_scale)


def members(mine: Local, etcd: Client) -> tuple[Member, ...]:
    """As etcd tells them, else as its database on this machine does; none where neither can be read."""
    try:
        return etcd.known()
    except errors.KubebootError:
        pass
    try:
        return etcd_db.read(mine.database).members
    except (OSError, etcd_db.NotEtcd):
        return ()


def others(see: HostView, mine: Local, found: Iterable[Member]) -> dict[str, str]:
    """Every other control plane that is known: its address, and its name where etcd has one for it."""
    known = {host: host for host, _ in haproxy.known(see)}
    named = {etcd_local.host_of(url): member.label for member in found for url in member.peer_urls}
    return {host: name for host, name in {**known, **named}.items() if host != mine.address}


def answering(see: HostView, others: Mapping[str, str]) -> str:
    """Those, of names by their addresses, on which something listens at one of etcd's ports; empty: none."""
    ports = (CLIENT_PORT, PEER_PORT)
    up = (host for host in others if any(_dials(see, host, port) for port in ports))
    return ", ".join(f"{others[host]} ({host})" for host in up)


def _dials(see: HostView, host: str, port: int) -> bool:
    try:
        see.dial(host, port, _DIAL).close()
    except OSError:
        return False
    return True


def has_leader(etcd: Client, mine: Local) -> bool | None:
    """Whether this machine's member follows a leader; None when it does not answer."""
    try:
        return str(etcd.status(mine.client_url).get("leader", "0")) != "0"
    except errors.KubebootError:
        return None


def begun(see: HostView, verb: str, source: str) -> Note | None:
    """A repair of this kind that is not finished. Occupied when it is another one."""
    found = etcd_local.note(see)
    if found is None or (found.verb, found.source) == (verb, source):
        return found
    command = "recover" if found.verb == "recover" else f"snapshot restore {found.source}"
    raise errors.Occupied(
        f"`kubeboot etcd {command}` was begun on this machine and is not finished",
        hint=f"finish it with `sudo kubeboot etcd {command} --yes`",
        reason="KB_ETCD_REPAIR",
    )


def new_note(see: HostView, verb: str, source: str, mine: Local) -> Note:
    """What is begun now; old data is kept under a name with the time in it."""
    kept = f"{mine.data_dir}/before-{verb}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return Note(verb, source, kept, see.stat(f"{mine.data_dir}/member") is not None)
