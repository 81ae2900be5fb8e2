"""etcd on machines of its own: `kubeboot etcd init`, `join`, `export` and `remove`, on one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kubeboot import errors
from kubeboot.artifacts import sources
from kubeboot.config import etcd_access
from kubeboot.config.etcd_access import Access, Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.events import Emit, Notice
from kubeboot.fleet import here, leaving, shared
from kubeboot.fleet.orders_etcd import EtcdMachineOptions, EtcdMachineResult, EtcdRemoveOptions
from kubeboot.fleet.run import Others, dry_run, on_this_machine
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import dial, etcd, etcd_client
from kubeboot.kube.api import NoApi
from kubeboot.pki import build, endpoint, pem, table
from kubeboot.plan import etcd_machine as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import authorities, preflight
from kubeboot.steps.etcd import machine as etcd_machine
from kubeboot.steps.preflight import Surroundings


def run(wanted: EtcdMachineOptions, emit: Emit) -> EtcdMachineResult:
    """Make this machine a member of etcd: the first one, or by invitation."""
    sources.require(wanted.spec.artifacts)
    scale = wanted.timeout_scale
    see = LocalView(timeout_scale=scale)
    facts = see.facts()
    spec, node = settled(wanted.spec, see, facts, wanted.invited, scale)
    source = here.source(spec, facts.arch, emit, dry=wanted.dry_run)
    if "preflight" not in wanted.skip:
        around = surroundings(wanted.invited)
        scene = preflight.Scene(spec, node, facts, see, environ=os.environ, cluster=around)
        here.judge(here.findings(scene, wanted.ignore_preflight), emit, dry=wanted.dry_run)
    plan = planning.plan(spec, node, source, wanted.invited).without(wanted.skip)
    others = Others(etcd=_invited_members(wanted.invited, scale))
    if wanted.dry_run:
        dry_run(plan, node.name, see, NoApi(), emit, others=others)
        return EtcdMachineResult(0, 0, 0.0, node.name)
    target = LocalHost(node.name, scale)
    outcome = on_this_machine(plan, target, NoApi(), emit, timeout_scale=scale, others=others)
    voters = _tell(members(see, authority(see)), emit)
    return EtcdMachineResult(outcome.changed, outcome.ok, outcome.seconds, node.name, voters)


def settled(
    given: ClusterSpec,
    see: HostView,
    facts: Facts,
    invited: Invitation | None,
    timeout_scale: float = 1.0,
) -> tuple[ClusterSpec, NodeSettings]:
    """What this machine is to be. Its address is the one that reaches the other members, if there are any."""
    if invited is None:
        return given, nodes.settings(given, facts, "etcd", timeout_scale=timeout_scale)
    spec = etcd_access.joined(given, invited.spec)
    near = next((address for host in hosts(invited) if (address := see.route_source(host))), None)
    return spec, nodes.settings(spec, facts, "etcd", near, timeout_scale)


def hosts(invited: Invitation) -> tuple[str, ...]:
    """Where the members are that are to be joined."""
    return tuple(endpoint.split(url.split("://")[-1], etcd.CLIENT_PORT)[0] for url in invited.endpoints)


def surroundings(invited: Invitation | None) -> Surroundings | None:
    """The members that this machine must reach."""
    if invited is None:
        return None
    return Surroundings(control_planes=tuple((host, etcd.CLIENT_PORT) for host in hosts(invited)))


def authority(see: HostView) -> build.Pair:
    """etcd's authority, which every one of its machines has. PreflightFailed on any other machine."""
    files = (f"{table.DIRECTORY}/{authorities.ETCD.file}.{suffix}" for suffix in ("crt", "key"))
    certificate, key = (see.read(path) for path in files)
    if etcd_machine.described(see) is None or not certificate or not key:
        raise errors.PreflightFailed(
            "this is not a machine of etcd's own",
            hint="run this as root on a machine that `kubeboot etcd init` or `etcd join` has made",
            reason="KB_NO_ETCD_MACHINE",
        )
    return build.Pair(certificate, key)


def members(see: HostView, signer: build.Pair, dialler: dial.Dialler = dial.direct) -> etcd_client.Client:
    """The members, by this machine's own."""
    return shared.members(as_given(signer), leaving.addresses(see), dialler=dialler)


def export(see: HostView, *, to_members: bool) -> Access | Invitation:
    """How control planes get in, or how one more machine becomes a member."""
    invited = invitation(see)
    return invited if to_members else access(invited)


def invitation(see: HostView, dialler: dial.Dialler = dial.direct) -> Invitation:
    """How one more machine becomes a member; errors.Unreachable where this machine's own does not answer."""
    signer = authority(see)
    spec = etcd_machine.described(see) or ClusterSpec()
    found = members(see, signer, dialler).members()
    urls = tuple(url for member in found if not member.learner for url in member.client_urls[:1])
    return Invitation(urls, signer.certificate, signer.key, spec)


def access(invited: Invitation) -> Access:
    """How control planes get in."""
    certificate, key = _client(invited.spec, build.Pair(invited.authority, invited.key))
    return Access(invited.endpoints, invited.authority, certificate, key)


def remove(wanted: EtcdRemoveOptions, emit: Emit) -> EtcdMachineResult:
    """Take the member of a machine that is gone out of etcd."""
    see = LocalView()
    found = members(see, authority(see))
    if all(member.name != wanted.name and not member.has_peer(wanted.name) for member in found.members()):
        emit(Notice("info", f"etcd has no member {wanted.name}"))
    plan = planning.removal(see.name, wanted.name, (wanted.name,))
    if wanted.dry_run:
        dry_run(plan, see.name, see, NoApi(), emit, others=Others(etcd=found))
        return EtcdMachineResult(0, 0, 0.0, wanted.name)
    outcome = on_this_machine(plan, LocalHost(see.name), NoApi(), emit, others=Others(etcd=found))
    return EtcdMachineResult(outcome.changed, outcome.ok, outcome.seconds, wanted.name, _tell(found, emit))


def _client(spec: ClusterSpec, signer: build.Pair) -> tuple[bytes, bytes]:
    """An API server's certificate and key, made for the purpose and kept nowhere on this machine."""
    row = next(row for row in table.CERTIFICATES if row.name == "apiserver-etcd-client")
    profile = table.Profile(row.common_name, usages=row.usages)
    key = build.new_key(spec.certificates.algorithm)
    days = spec.certificates.validity_days
    made = build.certificate(profile, key.public_key(), signer, days=days, at=build.now())
    return made, pem.encode_key(key)


def _invited_members(invited: Invitation | None, scale: float) -> etcd.Etcd:
    if invited is None:
        return etcd.NoEtcd()
    given = as_given(build.Pair(invited.authority, invited.key))
    return shared.members(given, hosts(invited), timeout_scale=scale)


def as_given(pair: build.Pair) -> Mapping[str, bytes]:
    """etcd's authority by the names under which it is shared."""
    return {"etcd/ca.crt": pair.certificate, "etcd/ca.key": pair.key}


def _tell(found: etcd.EtcdView, emit: Emit) -> int:
    voters = sum(not member.learner for member in found.members())
    if voters % 2 == 0:
        emit(Notice("warning", f"etcd has {voters} members and can lose {(voters - 1) // 2}"))
    return voters
