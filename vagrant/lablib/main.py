"""The lab's command line: `build`, and the commands for machines (lablib.machines.COMMANDS)."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import click

from kubeboot import errors
from lablib import build as building


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """Machines to try kubeboot on, and the artifacts that they need."""


@lab.command()
@click.option("--prune", is_flag=True, help="Also remove what earlier locks left in the cache.")
def build(prune: bool) -> None:
    """Make the bundle of binaries and images; what was made before is used again."""
    path = building.build(_say)
    if prune:
        building.prune(_say)
    click.echo(f"{path}\nsha256:{building.bundle_sum(path)}")


def run() -> None:
    """Run the command line; an error that is meant for people is printed as one."""
    _add_machine_commands()
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


def _add_machine_commands() -> None:
    if importlib.util.find_spec("lablib.machines"):
        for command in importlib.import_module("lablib.machines").COMMANDS:
            lab.add_command(command)


def _say(text: str) -> None:
    click.echo(text, err=True)
