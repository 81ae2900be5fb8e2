"""The lab's command line."""

from __future__ import annotations

import sys

import click

from kubeboot import errors
from vagrant.lablib import build as building


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """Machines to try kubeboot on, and the artifacts that they need."""


@lab.command()
def build() -> None:
    """Make the bundle of binaries and images; what was made before is used again."""
    path = building.build(lambda text: click.echo(text, err=True))
    click.echo(f"{path}\nsha256:{building.bundle_sum(path)}")


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
