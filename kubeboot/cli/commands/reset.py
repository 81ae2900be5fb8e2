"""kubeboot reset."""

from __future__ import annotations

import click

from kubeboot.cli import asking, params, runtime, work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="undo everything that kubeboot did to this machine",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot reset --dry-run            # what would be removed and restored",
        "sudo kubeboot reset                      # shows that, asks, does it",
        "sudo kubeboot reset --yes                # does not ask",
    ),
)
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@click.option(
    "-f",
    "--force",
    is_flag=True,
    help="do not ask, and continue even if the cluster cannot be told, or needs this machine",
)
@params.dry_run_option
@params.scale_option
@click.pass_context
def reset(ctx: click.Context, yes: bool, force: bool, dry_run: bool, timeout_scale: float) -> int:
    """The plan, a question, one action, its result."""
    from kubeboot.cli import actions, screens
    from kubeboot.fleet import orders

    now = runtime.current(ctx)
    if not (dry_run or yes or force) and not asking.loss_agreed(
        now,
        "reset removes this machine's part of the cluster",
        "do this, and lose the pods and the etcd data of this machine?",
        lambda emit: actions.reset(orders.ResetOptions(dry_run=True), emit),
    ):
        return 0
    with work.working(ctx, dry_run=dry_run) as emit:
        result = actions.reset(orders.ResetOptions(dry_run, timeout_scale, force), emit)
    if dry_run:
        return 0
    work.told(now, "ResetResult", screens.reset_data(result), screens.reset_done(result, now.stderr))
    return 1 if result.left else 0
