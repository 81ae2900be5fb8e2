"""kubeboot exec."""

from __future__ import annotations

from typing import Any

import click

from kubeboot import errors
from kubeboot.cli import doors, inventories, params, work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    name="exec",
    help="run a command on machines of a fleet",
    examples=(
        "kubeboot exec -i hosts.ini -- uptime",
        "kubeboot exec -i hosts.ini --limit kube_node --sudo -- journalctl -u kubelet -n 5",
    ),
)
@inventories.inventory_option
@params.config_option
@inventories.limit_option
@doors.access_options
@click.option("--sudo", is_flag=True, help="run the command as root")
@click.argument("argv", metavar="-- COMMAND [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def exec_(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Each line with its machine before it; exit code 1 when the command failed anywhere."""
    from kubeboot.cli import actions
    from kubeboot.fleet.orders_fleet import ExecOptions

    if not given["argv"]:
        raise errors.UsageProblem("which command? write it after `--`")
    inventory, spec = inventories.find(ctx, given)
    now = work.logged(ctx)
    width = max(len(machine.name) for machine in inventory.machines)

    def say(name: str, line: str, wrong: bool) -> None:
        (now.console.say if wrong else now.console.data)(f"{name:<{width}}  {line}")

    door = doors.meant(ctx, doors.door(ctx, given), inventory, spec.cluster_name)
    wanted = ExecOptions(inventory, tuple(given["argv"]), given["limit"], given["sudo"], door=door)
    ends = actions.execute(wanted, say)
    for end in ends:
        if end.message:
            now.console.say(f"{end.host:<{width}}  {end.message}")
        if end.hint:
            now.console.say(f"  hint: {end.hint}")
    return 1 if any(end.state != "ok" for end in ends) else 0
