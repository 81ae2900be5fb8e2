"""`kubeboot init` on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot.config import balancing
from kubeboot.engine.events import Emit
from kubeboot.engine.values import Secret
from kubeboot.fleet import here, shared
from kubeboot.fleet.orders import ADMIN_CONF, InitOptions, InitResult
from kubeboot.fleet.run import dry_run, on_this_machine
from kubeboot.host.api import HostTarget
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import bootstrap
from kubeboot.kube.api import Api
from kubeboot.pki import endpoint, sealed, tokens
from kubeboot.plan import init as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import encryption, preflight
from kubeboot.steps import tokens as token_steps

SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"


def init(wanted: InitOptions, emit: Emit) -> InitResult:
    """Make this machine the first control plane; see fleet.run for what it raises."""
    scale = wanted.timeout_scale
    see = LocalView(timeout_scale=scale)
    facts = see.facts()
    encryption.require_kept(see, wanted.spec)
    node = nodes.settings(wanted.spec, facts, "control_plane", timeout_scale=scale)
    given = Secret(tokens.parse(wanted.token.reveal())) if wanted.token else None
    access, files = _etcd(wanted)
    checked = "preflight" not in wanted.skip
    found = (
        here.findings(wanted.spec, node, facts, see, wanted.ignore_preflight, given=files) if checked else ()
    )
    here.tell(found, emit)
    if not wanted.dry_run:
        preflight.refuse(found)
    source = here.source(wanted.spec, facts.arch, emit, dry=wanted.dry_run)
    plan = planning.plan(
        wanted.spec, node, source, facts.cpus, token_steps.steps(node, given, wanted.token_ttl), access
    ).without(wanted.skip)
    server = endpoint.url(node.address, wanted.spec.api_server.bind_port)
    where = planning.control_plane_endpoint(wanted.spec, node)
    # the one identity that may do everything before RBAC is there, at this machine's own apiserver
    api = here.api(see, (SUPER_ADMIN, ADMIN_CONF), server, scale)
    if wanted.dry_run:
        dry_run(plan, node.name, see, api, emit)
        return InitResult(0, 0, 0.0, endpoint=where)
    target: HostTarget = LocalHost(node.name, scale)
    outcome = on_this_machine(plan, node.name, target, api, emit, timeout_scale=scale)
    if wanted.certificate_key is not None:
        shared.upload(api, target, wanted.certificate_key.reveal())
    done = InitResult(outcome.changed, outcome.ok, outcome.seconds, endpoint=where, single=wanted.spec.single)
    made = outcome.values.get(token_steps.TOKEN)
    if made is None:
        return done
    by = endpoint.join(node.address, wanted.spec.api_server.bind_port)
    own = by if balancing.runs_haproxy(wanted.spec, "load_balancer") else ""
    return _told(done, api, made.reveal(), wanted.certificate_key, own)


def _told(
    done: InitResult, api: Api, token: bootstrap.Token, key: Secret[str] | None, balancer_by: str
) -> InitResult:
    """With the commands for the other machines."""
    commands = [Secret(" ".join(bootstrap.join_command(api, token.token)))]
    if key is not None:
        commands.append(Secret(" ".join(bootstrap.join_command(api, token.token, key.reveal()))))
    further = commands[1] if key is not None else None
    balancer = bootstrap.join_command(api, token.token, balancer_by=balancer_by) if balancer_by else ()
    return dataclasses.replace(
        done,
        join_command=commands[0],
        control_plane_join_command=further,
        balancer_join_command=Secret(" ".join(balancer)) if balancer else None,
        token_expires=token.expires,
    )


def _etcd(wanted: InitOptions) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """What was handed over by which an etcd elsewhere is reached: by name, and by path."""
    if wanted.etcd is None:
        return {}, {}
    given = dict(zip(sealed.EXTERNAL, wanted.etcd.files, strict=True))
    places = shared.places(wanted.spec.etcd.external)
    return given, {places[name]: data for name, data in given.items()}
