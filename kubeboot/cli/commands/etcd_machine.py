"""kubeboot etcd init, join, export, remove: etcd on machines of its own."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

import click

from kubeboot import errors, outputs
from kubeboot.cli import flags, hidden, params, runtime, work
from kubeboot.cli.command import Command
from kubeboot.config import purpose

if TYPE_CHECKING:
    from kubeboot.config.etcd_access import Invitation
    from kubeboot.fleet.orders_etcd import EtcdMachineResult

FOR = ("control-planes", "members")
_address_option = click.option(
    "--advertise-address",
    "--apiserver-advertise-address",
    "apiserver_advertise_address",
    metavar="IP",
    help="the address by which other machines reach this one",
)


@click.command(
    cls=Command,
    help="make this machine the first member of an etcd on machines of its own",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot etcd init                     # on the first machine",
        "sudo kubeboot etcd export --for members etcd.join",
        "sudo kubeboot etcd join etcd.join           # on each other one, with that file",
        "sudo kubeboot etcd export etcd.access       # on any of them",
        "sudo kubeboot init --external-etcd etcd.access    # on the first control plane, with that file",
    ),
)
@_address_option
@params.node_name_option
@params.bundle_option
@params.open_firewall_option
@params.run_options
@click.pass_context
def init(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """One action, its result."""
    return _run(ctx, given, None)


@click.command(
    cls=Command,
    help="make this machine another member; FILE is what `kubeboot etcd export --for members` wrote",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot etcd join etcd.join",
        "sudo kubeboot etcd join - < etcd.join",
    ),
)
@click.argument("file", metavar="FILE")
@_address_option
@params.node_name_option
@params.bundle_option
@params.open_firewall_option
@params.run_options
@click.pass_context
def join(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """One action, its result."""
    from kubeboot.config import etcd_access

    hidden.one_reader(None, given["config"], given["file"])
    data = hidden.file(given["file"], "FILE")
    invited = etcd_access.invitation(data, given["file"])
    return _run(ctx, given, etcd_access.usable(invited, given["file"], datetime.datetime.now(datetime.UTC)))


def _run(ctx: click.Context, given: dict[str, Any], invited: Invitation | None) -> int:
    from kubeboot.cli import actions_etcd
    from kubeboot.fleet.orders_etcd import EtcdMachineOptions

    loaded = flags.load(ctx, given["config"], purpose.ETCD)
    if loaded.spec.etcd.external is not None:
        raise errors.UsageProblem("etcd.external is for control planes; this machine is to run etcd itself")
    options = EtcdMachineOptions(loaded.spec, invited, **flags.run(given, loaded.run))
    now = runtime.current(ctx)
    with work.working(ctx, dry_run=options.dry_run) as emit:
        result = actions_etcd.machine(options, emit)
    if options.dry_run:
        return 0
    work.told(now, "EtcdMachine", _data(result), _done(now, result))
    return 0


def _data(result: EtcdMachineResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "changed": result.changed,
        "ok": result.ok,
        "seconds": round(result.seconds, 3),
        "etcdMembers": result.voters,
    }


def _done(now: runtime.Runtime, result: EtcdMachineResult) -> str:
    count = f"{result.voters} member{'s' if result.voters != 1 else ''}"
    lines = (
        "",
        now.stderr.paint("bold", f"{result.name} is a member of etcd, which has {count}"),
        "",
        "for one more machine (the file holds etcd's own key: keep it secret, and remove it afterwards):",
        f"  {'sudo kubeboot etcd export --for members etcd.join':<64}# here",
        f"  {'sudo kubeboot etcd join etcd.join':<64}# there",
        "for control planes:",
        f"  {'sudo kubeboot etcd export etcd.access':<64}# here",
        f"  {'sudo kubeboot init --external-etcd etcd.access':<64}# there",
    )
    return "\n".join(lines)


@click.command(
    cls=Command,
    help="write the file that lets control planes, or a new member, into etcd; it holds a private key",
    examples=(
        "sudo kubeboot etcd export etcd.access                  # for `kubeboot init --external-etcd`",
        "sudo kubeboot etcd export --for members etcd.join      # for `kubeboot etcd join`",
        "ssh etcd-1 sudo kubeboot etcd export --for members - | ssh etcd-2 sudo kubeboot etcd join -",
    ),
)
@click.argument("file", metavar="FILE")
@click.option("--for", "whom", type=click.Choice(FOR), default=FOR[0], show_default=True, help="for whom")
@click.pass_context
def export(ctx: click.Context, file: str, whom: str) -> int:
    """The file is for its owner alone; `-` is standard output, but no terminal."""
    from kubeboot.cli import actions_etcd
    from kubeboot.fleet import orders_etcd

    now = work.logged(ctx)
    if file == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise errors.UsageProblem("this would show a private key on the terminal", hint="name a file")
    data = actions_etcd.export(orders_etcd.EtcdExportOptions(to_members=whom == "members"))
    if file == "-":
        now.console.data(data.decode().rstrip("\n"))
        return 0
    _write(file, data)
    now.say(f"wrote {file}, for {whom.replace('-', ' ')}: it holds a private key")
    return 0


def _write(path: str, data: bytes) -> None:
    """Nobody else can read it, not even for a moment."""
    try:
        with outputs.replacing(path, 0o600) as file:
            file.write(data)
    except OSError as error:
        raise errors.KubebootError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
            hint="name a file in a directory that this user may write to",
            reason="KB_OUTPUT",
        ) from None


@click.command(
    cls=Command,
    help="forget a member whose machine is gone; run it on any etcd machine that stays",
    outputs=("text", "json"),
    examples=("sudo kubeboot etcd remove etcd-1", "sudo kubeboot etcd remove etcd-1 --dry-run"),
)
@click.argument("name", metavar="NAME|ADDRESS")
@params.dry_run_option
@click.pass_context
def remove(ctx: click.Context, name: str, dry_run: bool) -> int:
    """One action, its result."""
    from kubeboot.cli import actions_etcd
    from kubeboot.fleet import orders_etcd

    now = runtime.current(ctx)
    with work.working(ctx, dry_run=dry_run) as emit:
        result = actions_etcd.remove(orders_etcd.EtcdRemoveOptions(name, dry_run), emit)
    if dry_run:
        return 0
    left = f"{name} is not in etcd any more, which has {result.voters} members"
    work.told(now, "EtcdMachine", _data(result), left)
    return 0
