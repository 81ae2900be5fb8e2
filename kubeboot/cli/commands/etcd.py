"""kubeboot etcd."""

from __future__ import annotations

import click

from kubeboot.cli import asking, params, runtime, work
from kubeboot.cli.command import Group

_MACHINE = "kubeboot.cli.commands.etcd_machine"
MACHINES = {
    "init": (f"{_MACHINE}:init", "make this machine the first member of an etcd on machines of its own"),
    "join": (f"{_MACHINE}:join", "make this machine another member of that etcd"),
    "export": (f"{_MACHINE}:export", "write the file that lets control planes, or new members, in"),
    "remove": (f"{_MACHINE}:remove", "forget a member whose machine is gone"),
}

yes_option = click.option("-y", "--yes", is_flag=True, help="do not ask")


@click.group(
    cls=Group,
    help="show, save, restore and recover etcd; run it on machines of its own",
    lazy=MACHINES,
    examples=(
        "sudo kubeboot etcd status",
        "sudo kubeboot etcd snapshot save /backup/etcd.db",
        "sudo kubeboot etcd init                     # a machine that runs etcd and nothing else",
    ),
)
def etcd() -> None:
    """Everything is in the sub-commands."""


@etcd.command(
    help="show every member of etcd, and how many of them it could lose; exit code 1 when one is unhealthy",
    outputs=("text", "json"),
    examples=("sudo kubeboot etcd status", "sudo kubeboot etcd status -o json | jq .survivesLossOf"),
)
@click.pass_context
def status(ctx: click.Context) -> int:
    """Exit code 0 when every member is healthy, 1 when one is not, 5 when none answers."""
    from kubeboot.cli import actions_etcd, report_etcd

    now = work.logged(ctx)
    found = actions_etcd.status()
    work.result(now, "EtcdStatus", report_etcd.status_data(found), lambda: report_etcd.status_text(found))
    return 0 if found.healthy else 1


@etcd.group(
    cls=Group,
    help="save, check and restore snapshots of etcd",
    examples=(
        "sudo kubeboot etcd snapshot save /backup/etcd.db",
        "kubeboot etcd snapshot status /backup/etcd.db",
    ),
)
def snapshot() -> None:
    """Everything is in the sub-commands."""


@snapshot.command(
    help="save all of etcd's data to a file and check it; it is as secret as the cluster's Secrets",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot etcd snapshot save /backup/etcd-$(date +%F).db",
        "sudo kubeboot etcd snapshot save /backup/latest.db --force",
    ),
)
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="overwrite the file")
@click.pass_context
def save(ctx: click.Context, file: str, force: bool) -> int:
    """One action, its result."""
    from kubeboot.cli import actions_etcd, report_etcd
    from kubeboot.fleet import orders_etcd

    now = runtime.current(ctx)
    with work.working(ctx) as emit:
        made = actions_etcd.snapshot_save(orders_etcd.EtcdSnapshotSaveOptions(file, force), emit)
    work.result(now, "EtcdSnapshot", report_etcd.snapshot_data(made), lambda: report_etcd.snapshot_text(made))
    return 0


@snapshot.command(
    name="status",
    help="check a snapshot, and show its revision, its size and the members it was taken from",
    outputs=("text", "json"),
    examples=("kubeboot etcd snapshot status /backup/etcd.db",),
)
@click.argument("file", metavar="FILE")
@click.pass_context
def snapshot_status(ctx: click.Context, file: str) -> int:
    """Exit code 1 when the file is not a whole snapshot."""
    from kubeboot.cli import actions_etcd, report_etcd

    now = work.logged(ctx)
    found = actions_etcd.snapshot_status(file)
    work.result(
        now, "EtcdSnapshot", report_etcd.snapshot_data(found), lambda: report_etcd.snapshot_text(found)
    )
    return 0


@snapshot.command(
    help="take the cluster back to a snapshot: etcd runs on this machine alone, and the others join again",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot etcd snapshot restore /backup/etcd.db --dry-run",
        "sudo kubeboot etcd snapshot restore /backup/etcd.db",
    ),
)
@click.argument("file", metavar="FILE")
@yes_option
@params.dry_run_option
@params.scale_option
@click.pass_context
def restore(ctx: click.Context, file: str, yes: bool, dry_run: bool, timeout_scale: float) -> int:
    """The plan, a question, one action, its result."""
    from kubeboot.cli import actions_etcd, report_etcd
    from kubeboot.fleet import orders_etcd

    now = runtime.current(ctx)
    options = orders_etcd.EtcdRestoreOptions(file, dry_run, timeout_scale)
    seen = orders_etcd.EtcdRestoreOptions(file, dry_run=True)
    loses = report_etcd.RESTORE_LOSES
    if not (dry_run or yes) and not asking.loss_agreed(
        now, loses, f"{loses}; do this?", lambda emit: actions_etcd.restore(seen, emit)
    ):
        return 0
    with work.working(ctx, dry_run=dry_run) as emit:
        result = actions_etcd.restore(options, emit)
    if not dry_run:
        work.told(now, "EtcdRestore", report_etcd.repair_data(result), report_etcd.restored(result))
    return 0


@etcd.command(
    help="when the quorum is lost for good: continue with this machine's data alone; the others join again",
    outputs=("text", "json"),
    examples=("sudo kubeboot etcd recover --dry-run", "sudo kubeboot etcd recover"),
)
@yes_option
@params.dry_run_option
@params.scale_option
@click.pass_context
def recover(ctx: click.Context, yes: bool, dry_run: bool, timeout_scale: float) -> int:
    """The plan, a question, one action, its result."""
    from kubeboot.cli import actions_etcd, report_etcd
    from kubeboot.fleet import orders_etcd

    now = runtime.current(ctx)
    seen = orders_etcd.EtcdRecoverOptions(dry_run=True)
    loses = report_etcd.RECOVER_LOSES
    if not (dry_run or yes) and not asking.loss_agreed(
        now, loses, f"{loses}; do this?", lambda emit: actions_etcd.recover(seen, emit)
    ):
        return 0
    with work.working(ctx, dry_run=dry_run) as emit:
        result = actions_etcd.recover(orders_etcd.EtcdRecoverOptions(dry_run, timeout_scale), emit)
    if not dry_run:
        work.told(now, "EtcdRecovery", report_etcd.repair_data(result), report_etcd.recovered(result))
    return 0
