"""kubeboot up, plan, down."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import asking, inventories, params, runtime, work
from kubeboot.cli.command import Command

if TYPE_CHECKING:
    from kubeboot.fleet.orders_fleet import FleetResult

SOMETHING = 10
"""plan's exit code for "there is something to do"."""


@click.command(
    cls=Command,
    help="make a fleet of machines, over SSH, match its description",
    outputs=("text", "json"),
    examples=(
        "kubeboot up -i inventories/ha-3                 # any Ansible inventory",
        "kubeboot up --config cluster.yaml               # with `hosts` in it",
        "kubeboot up -i hosts.ini --limit worker-7 --bundle kubeboot.bundle",
        "kubeboot plan -i hosts.ini                      # what it would do",
    ),
)
@inventories.fleet_options
@params.open_firewall_option
@params.ignore_option
@click.option("-y", "--yes", is_flag=True, help="remove machines that left the inventory, without asking")
@params.scale_option
@click.pass_context
def up(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """The options, one action, its result."""
    from kubeboot.cli import actions

    options = inventories.options(ctx, given)
    with work.working(ctx) as emit:
        result = actions.up(options, emit)
    return _ended(runtime.current(ctx), "UpResult", result)


@click.command(
    cls=Command,
    help="show what `up` would do on each machine, and change nothing",
    outputs=("text", "json"),
    examples=(
        "kubeboot plan -i inventories/ha-3               # exit code 0: nothing, 10: something",
        "kubeboot plan -i hosts.ini -v                   # with diffs, and what is as it should be",
        "kubeboot plan --from ops@10.0.0.11               # as the cluster itself keeps it",
        "kubeboot plan -i hosts.ini -o json",
    ),
)
@inventories.fleet_options
@params.open_firewall_option
@click.pass_context
def plan(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Exit code 0: nothing to do; 10: something; 1: not every machine could be looked at."""
    from kubeboot.cli import actions

    options = inventories.options(ctx, given)
    with work.working(ctx, dry_run=True) as emit:
        result = actions.plan(options, emit)
    code = _ended(runtime.current(ctx), "PlanResult", result)
    return code or (0 if result.clean else SOMETHING)


@click.command(
    cls=Command,
    help="remove a whole cluster from its machines",
    outputs=("text", "json"),
    examples=("kubeboot down -i inventories/ha-3              # asks", "kubeboot down -i hosts.ini --yes"),
)
@inventories.fleet_options
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@params.scale_option
@click.pass_context
def down(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """A question, one action, its result."""
    from kubeboot.cli import actions

    now = runtime.current(ctx)
    options = inventories.options(ctx, given)
    names = ", ".join(machine.name for machine in options.inventory.machines)
    loses = f"`down` removes the cluster from {names}"
    question = f"lose the cluster and its data on {names}?"
    if not given["yes"] and not asking.loss_agreed(now, loses, question):
        return 0
    with work.working(ctx) as emit:
        result = actions.down(options, emit)
    return _ended(now, "DownResult", result)


def _ended(now: runtime.Runtime, kind: str, result: FleetResult) -> int:
    """The exit code: 1 while something is left to do on a machine."""
    if now.settings.json:
        hosts = [dataclasses.asdict(host) for host in result.hosts]
        work.result(now, kind, {"seconds": round(result.seconds, 3), "hosts": hosts}, str)
    elif result.failed:
        names = ", ".join(host.host for host in result.failed)
        now.say(f"left to do: {names}; run the same command again once the cause is fixed")
    return 1 if result.failed else 0
