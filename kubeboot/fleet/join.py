"""`kubeboot join` on this machine."""

from __future__ import annotations

import dataclasses

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.values import Secret
from kubeboot.fleet import here
from kubeboot.fleet.run import Emit, dry_run, on_this_machine
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import discovery, facts
from kubeboot.pki import endpoint, tokens
from kubeboot.plan import join as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What join is asked for. `host` and `port` serve discovery only."""

    host: str
    port: int
    token: Secret[str]
    ca_pins: tuple[str, ...]
    spec: ClusterSpec
    skip: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Done:
    """How it ended."""

    ok: int
    changed: int
    seconds: float
    node: str
    cluster: str


def join(wanted: Wanted, emit: Emit) -> Done:
    """Make this machine a worker; it is not touched before the cluster is known to be the right one."""
    search = discovery.Discovery(
        endpoint.join(wanted.host, wanted.port), tokens.parse(wanted.token.reveal()), wanted.ca_pins
    )
    api, authority = discovery.discover(search)
    cluster = facts.read(api, authority)
    see = LocalView()
    machine = see.facts()
    spec = planning.cluster_spec(wanted.spec, cluster)
    node = nodes.settings(spec, machine, "worker", see.route_source(wanted.host))
    facts.require_free_name(api, node.name, machine.machine_id)
    checked = "preflight" not in wanted.skip
    found = here.findings(spec, node, machine, see, wanted.ignored) if checked else ()
    here.tell(found, emit)
    if not wanted.dry_run:
        preflight.refuse(found)
    source = here.source(spec, machine.arch, emit, dry=wanted.dry_run)
    plan = planning.plan(spec, node, source, machine.cpus, cluster).without(wanted.skip)
    if wanted.dry_run:
        dry_run(plan, node.name, see, api, emit)
        return Done(0, 0, 0.0, node.name, spec.cluster_name)
    target = LocalHost(node.name)
    outcome = on_this_machine(plan, node.name, target, api, emit, timeout_scale=wanted.timeout_scale)
    return Done(outcome.ok, outcome.changed, outcome.seconds, node.name, spec.cluster_name)
