"""What commands ask the fleet for. Imports stay inside: `--help` and a wrong flag pay for none of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeboot.engine.events import Emit, HostFinished
from kubeboot.engine.values import Secret
from kubeboot.fleet import orders, orders_cluster, orders_fleet

if TYPE_CHECKING:
    from kubeboot.fleet.doctor import Diagnosis
    from kubeboot.fleet.doors import Door
    from kubeboot.fleet.kept import Kept
    from kubeboot.fleet.status import Status
    from kubeboot.fleet.support import Packed


def init(options: orders.InitOptions, emit: Emit) -> orders.InitResult:
    """Make this machine the first control plane."""
    from kubeboot.fleet import init as running

    return running.init(options, emit)


def join(options: orders.JoinOptions, emit: Emit) -> orders.JoinResult:
    """Make this machine a node of the cluster at host:port."""
    from kubeboot.fleet import join as running

    return running.join(options, emit)


def up(options: orders_fleet.FleetOptions, emit: Emit) -> orders_fleet.FleetResult:
    """Make a fleet what its description says."""
    from kubeboot.fleet import logins
    from kubeboot.fleet import up as running

    return running.up(options, emit, options.door or logins.open_host)


def plan(options: orders_fleet.FleetOptions, emit: Emit) -> orders_fleet.FleetResult:
    """Look at what `up` would do."""
    from kubeboot.fleet import logins, planning

    return planning.plan(options, emit, options.door or logins.open_host)


def down(options: orders_fleet.FleetOptions, emit: Emit) -> orders_fleet.FleetResult:
    """Take a cluster off its machines."""
    from kubeboot.fleet import down as running
    from kubeboot.fleet import logins

    return running.down(options, emit, options.door or logins.open_host)


def kept(where: str, door: Door) -> Kept:
    """What a cluster keeps of itself, from one of its control planes."""
    from kubeboot.fleet import kept as keeping

    return keeping.fetch(where, door)


def execute(
    options: orders_fleet.ExecOptions, say: Callable[[str, str, bool], None]
) -> tuple[HostFinished, ...]:
    """Run a person's own command on machines of a fleet."""
    from kubeboot.fleet import logins, remote

    return remote.execute(options, say, options.door or logins.open_host)


def merge(options: orders_fleet.MergeOptions) -> str:
    """Add the administrator's access to a kubeconfig; the context's name."""
    from kubeboot.fleet import logins
    from kubeboot.fleet import merge as running

    return running.merge(options, options.door or logins.open_host)


def reset(options: orders.ResetOptions, emit: Emit) -> orders.ResetResult:
    """Take back what kubeboot did to this machine."""
    from kubeboot.fleet import reset as running

    return running.reset(options, emit)


def preflight(options: orders.PreflightOptions) -> orders.PreflightResult:
    """Run every check of this machine."""
    from kubeboot.fleet import here

    findings, checks = here.examine(options.spec, options.ignore_preflight)
    return orders.PreflightResult(findings, checks)


def doctor(options: orders.DoctorOptions) -> Diagnosis:
    """Everything that is wrong with this machine and its cluster."""
    from kubeboot.fleet import doctor

    return doctor.examine(options.spec, options.kubeconfig)


def status(options: orders_cluster.StatusOptions) -> Status:
    """How the cluster is, seen from this machine."""
    from kubeboot.fleet import here, status
    from kubeboot.host.local import LocalView

    see = LocalView()
    now = datetime.datetime.now(datetime.UTC)
    return status.look(see, here.api(see, (options.kubeconfig, status.KUBELET_CONF)), now)


def support(options: orders.SupportOptions) -> Packed:
    """Pack what someone else needs to know of this machine."""
    from kubeboot.fleet import here, status, support
    from kubeboot.host.local import LocalView

    see = LocalView()
    now = datetime.datetime.now(datetime.UTC)
    to = options.to or support.name_for(see.name, now)
    return support.pack(see, here.api(see, (orders.ADMIN_CONF, status.KUBELET_CONF)), now, to)


def kubeconfig(options: orders_cluster.KubeconfigOptions) -> Secret[str]:
    """The administrator's kubeconfig."""
    from kubeboot.fleet import access

    return access.kubeconfig(options.path, options.server)


def token_create(options: orders_cluster.TokenCreateOptions) -> orders_cluster.TokenCreateResult:
    """Make a bootstrap token, and return once the cluster's information is signed with it."""
    from kubeboot.fleet import access

    return access.create_token(access.administrator(options.kubeconfig), options)


def certs_upload(options: orders_cluster.CertsUploadOptions) -> Secret[str]:
    """Put what control planes share into the cluster, sealed; the key to it."""
    from kubeboot.fleet import access, shared
    from kubeboot.host.local import LocalView
    from kubeboot.pki import sealed

    key = options.key or Secret(sealed.new_key())
    shared.upload(access.administrator(options.kubeconfig), LocalView(), key.reveal())
    return key


def node_remove(options: orders_cluster.NodeRemoveOptions, emit: Emit) -> orders_cluster.NodeRemoveResult:
    """The cluster forgets a machine."""
    from kubeboot.fleet import remove as running

    return running.remove(options, emit)


def token_list(options: orders_cluster.TokenListOptions) -> tuple[orders_cluster.Token, ...]:
    """Every bootstrap token of the cluster."""
    from kubeboot.fleet import access
    from kubeboot.kube import bootstrap

    return tuple(
        orders_cluster.Token(found.token.id, found.expires, found.usages, found.description, found.groups)
        for found in bootstrap.listing(access.administrator(options.kubeconfig))
    )


def token_delete(options: orders_cluster.TokenDeleteOptions) -> orders_cluster.TokenDeleteResult:
    """Delete bootstrap tokens."""
    from kubeboot.fleet import access
    from kubeboot.kube import bootstrap

    api = access.administrator(options.kubeconfig)
    gone = {name: bootstrap.delete(api, name) for name in options.ids}
    return orders_cluster.TokenDeleteResult(
        deleted=tuple(name for name, was in gone.items() if was),
        missing=tuple(name for name, was in gone.items() if not was),
    )
