"""kubeboot node."""

from __future__ import annotations

import datetime

import click

from kubeboot.cli import params, runtime, work
from kubeboot.cli.command import Group


@click.group(
    cls=Group,
    help="remove machines from the cluster",
    examples=("sudo kubeboot node remove cp-1",),
)
def node() -> None:
    """Everything is in the sub-commands."""


@node.command(
    help="remove a machine from the cluster: its pods if it is alive, its etcd member, its Node",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot node remove cp-1",
        "sudo kubeboot node remove worker-7 --dry-run",
        "sudo kubeboot node remove 10.0.0.14          # a join that died there left no name",
    ),
)
@click.argument("name", metavar="NAME|ADDRESS")
@click.option("--force", is_flag=True, help="do not drain it: it is gone, or what runs there does not matter")
@click.option(
    "--drain-timeout",
    type=params.Duration(),
    default="5m",
    show_default=True,
    metavar="DURATION",
    help="how long to wait for its pods to go",
)
@params.kubeconfig_option
@params.dry_run_option
@click.pass_context
def remove(
    ctx: click.Context,
    name: str,
    force: bool,
    drain_timeout: datetime.timedelta,
    kubeconfig: str,
    dry_run: bool,
) -> int:
    """One action, its result."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster

    now = runtime.current(ctx)
    options = orders_cluster.NodeRemoveOptions(name, kubeconfig, force, drain_timeout, dry_run)
    with work.working(ctx, dry_run=dry_run) as emit:
        result = actions.node_remove(options, emit)
    if dry_run:
        return 0
    data = {"node": name, "changed": result.changed, "ok": result.ok, "etcdMembers": result.voters or None}
    left = f"; etcd has {result.voters} members" if result.voters else ""
    work.told(now, "NodeRemoval", data, f"{name} is not part of the cluster any more{left}")
    return 0
