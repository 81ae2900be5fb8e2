"""kubeboot status."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import params, screens, work
from kubeboot.cli.command import Command

if TYPE_CHECKING:
    from kubeboot.fleet.status import Status

_SOON = 30


@click.command(
    cls=Command,
    help="show nodes, components, versions and certificates",
    outputs=("text", "json"),
    examples=("sudo kubeboot status", "sudo kubeboot status -o json | jq .nodes"),
)
@params.kubeconfig_option
@click.pass_context
def status(ctx: click.Context, kubeconfig: str) -> int:
    """Exit code 0 when everything is well, 1 when something is not."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster

    now = work.logged(ctx)
    found = actions.status(orders_cluster.StatusOptions(kubeconfig))
    work.result(now, "Status", _data(found), lambda: _text(found))
    return 0 if found.healthy else 1


def _data(found: Status) -> dict[str, Any]:
    return {
        "healthy": found.healthy,
        "problem": found.problem,
        "nodes": [dataclasses.asdict(node) for node in found.nodes],
        "pods": [dataclasses.asdict(pod) for pod in found.pods],
        "certificates": [
            {"path": c.path, "daysLeft": c.days_left, "authority": c.authority} for c in found.certificates
        ],
    }


def _text(found: Status) -> str:
    blocks = [f"cannot reach the API: {found.problem}"] if found.problem else []
    if found.nodes:
        blocks.append(_nodes(found))
    if found.pods:
        blocks.append(_pods(found))
    if found.certificates:
        blocks.append(_certificates(found))
    return "\n\n".join(blocks) or "there is no cluster on this machine"


def _nodes(found: Status) -> str:
    head = ("NODE", "ROLE", "READY", "VERSION", "ADDRESS", "RUNTIME")
    return screens.table(
        head, [(n.name, n.role, _yes(n.ready), n.version, n.address, n.runtime) for n in found.nodes]
    )


def _pods(found: Status) -> str:
    head = ("POD", "NODE", "READY", "RESTARTS", "STATE")
    rows = [(f"{p.namespace}/{p.name}", p.node, _yes(p.ready), str(p.restarts), p.detail) for p in found.pods]
    return screens.table(head, rows)


def _certificates(found: Status) -> str:
    rows = [(c.path, *_left(c.days_left)) for c in found.certificates]
    return screens.table(("CERTIFICATE", "DAYS LEFT", ""), rows)


def _left(days: int | None) -> tuple[str, str]:
    if days is None:
        return "?", "damaged: see `kubeboot doctor`"
    return str(days), "renew it soon" if days <= _SOON else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"
