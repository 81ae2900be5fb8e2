"""`kubeboot init` on this machine."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from kubeboot.artifacts import sources
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.engine.events import Emit
from kubeboot.engine.plan import Plan
from kubeboot.engine.values import Secret
from kubeboot.fleet import here, shared
from kubeboot.fleet.orders import ADMIN_CONF, InitOptions, InitResult
from kubeboot.fleet.run import dry_run, on_this_machine
from kubeboot.host.api import HostTarget
from kubeboot.host.facts import Facts
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
    sources.require(wanted.spec.artifacts)
    scale = wanted.timeout_scale
    see = LocalView(timeout_scale=scale)
    facts = see.facts()
    encryption.require_kept(see, wanted.spec)
    node = nodes.settings(wanted.spec, facts, "control_plane", timeout_scale=scale)
    plan = _plan(wanted, see, facts, node, emit)
    server = endpoint.url(node.address, wanted.spec.api_server.bind_port)
    where = planning.control_plane_endpoint(wanted.spec, node)
    # the one identity that may do everything before RBAC is there, at this machine's own apiserver
    api = here.api(see, (SUPER_ADMIN, ADMIN_CONF), server, scale)
    if wanted.dry_run:
        dry_run(plan, node.name, see, api, emit)
        return InitResult(0, 0, 0.0, endpoint=where)
    target: HostTarget = LocalHost(node.name, scale)
    outcome = on_this_machine(plan, target, api, emit, timeout_scale=scale)
    if wanted.certificate_key is not None:
        shared.upload(api, target, wanted.certificate_key.reveal())
    done = InitResult(outcome.changed, outcome.ok, outcome.seconds, endpoint=where, single=wanted.spec.single)
    made = outcome.values.get(token_steps.TOKEN)
    return done if made is None else _with_commands(done, api, made.reveal(), wanted, node)


def _plan(wanted: InitOptions, see: LocalView, facts: Facts, node: NodeSettings, emit: Emit) -> Plan:
    """What is to be done on a machine that is fit for it; PreflightFailed on one that is not."""
    given = Secret(tokens.parse(wanted.token.reveal())) if wanted.token else None
    access, files = _etcd(wanted)
    source = here.source(wanted.spec, facts.arch, emit, dry=wanted.dry_run)
    if "preflight" not in wanted.skip:
        scene = preflight.Scene(wanted.spec, node, facts, see, environ=os.environ, given=files)
        here.judge(here.findings(scene, wanted.ignore_preflight), emit, dry=wanted.dry_run)
    token = token_steps.steps(node, given, wanted.token_ttl)
    return planning.plan(wanted.spec, node, source, token, access).without(wanted.skip)


def _with_commands(
    done: InitResult, api: Api, token: bootstrap.Token, wanted: InitOptions, node: NodeSettings
) -> InitResult:
    """The result, with the commands for the other machines."""

    def command(key: str = "", balancer_by: str = "") -> Secret[str]:
        words = bootstrap.join_command(api, token.token, key, balancer_by=balancer_by)
        return Secret(" ".join(words))

    key, port = wanted.certificate_key, wanted.spec.api_server.bind_port
    has_balancers = balancing.runs_haproxy(wanted.spec, "load_balancer")
    by = endpoint.join(node.address, port)
    return dataclasses.replace(
        done,
        join_command=command(),
        control_plane_join_command=command(key.reveal()) if key is not None else None,
        balancer_join_command=command(balancer_by=by) if has_balancers else None,
        token_expires=token.expires,
    )


def _etcd(wanted: InitOptions) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """What was handed over by which an etcd elsewhere is reached: by name, and by path."""
    if wanted.etcd is None:
        return {}, {}
    given = dict(zip(sealed.EXTERNAL, wanted.etcd.files, strict=True))
    places = shared.places(wanted.spec.etcd.external)
    return given, {places[name]: data for name, data in given.items()}
