"""The lab's command line. Only the command that is run is imported: Ansible waits for the inventory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from kubeboot import errors

COMMANDS: Mapping[str, str] = {
    "build": "building",
    "down": "machines",
    "hosts": "machine_notes",
    "inventory": "machine_notes",
    "kubeconfig": "machines",
    "list": "machines",
    "logs": "machines",
    "ssh": "machines",
    "sync": "machines",
    "up": "machines",
}
"""The module that has each command, under its name."""


class Lazy(click.Group):
    """Finds its commands by the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the table's order."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """None where there is no such command."""
        place = COMMANDS.get(name)
        found = importlib.import_module(f"lablib.{place}").COMMANDS if place else ()
        return next((command for command in found if command.name == name), None)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """Machines to try kubeboot on, and the artifacts that they need."""


def run() -> None:
    """Run the command line; an error that is meant for people is printed as one."""
    try:
        lab.main(standalone_mode=False)
    except errors.KubebootError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run it again to go on", err=True)
        sys.exit(130)
