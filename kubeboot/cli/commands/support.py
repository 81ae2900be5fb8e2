"""kubeboot support."""

from __future__ import annotations

import click

from kubeboot.cli import work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="pack logs, versions and states into one file, without secrets",
    examples=(
        "sudo kubeboot support                        # kubeboot-support-<machine>-<time>.tar.gz",
        "sudo kubeboot support -o /tmp/cp-1.tar.gz",
    ),
)
@click.option("-o", "--output", "file", metavar="FILE", help="write this file, which must not exist yet")
@click.pass_context
def support(ctx: click.Context, file: str | None) -> int:
    """Its name is all that is on stdout."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders

    now = work.logged(ctx)
    packed = actions.support(orders.SupportOptions(file))
    for problem in packed.problems:
        now.say(f"{now.stderr.paint('warn', 'left out:')} {problem}")
    now.say(f"{len(packed.parts)} parts, without keys, tokens and passwords; look into it before you send it")
    now.console.data(packed.path)
    return 0
