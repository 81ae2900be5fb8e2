"""The lab's command that makes the artifacts."""

from __future__ import annotations

import click

from lablib import build as making


@click.command()
@click.option("--prune", is_flag=True, help="Also remove what earlier locks left in the cache.")
def build(prune: bool) -> None:
    """Make the bundle of binaries and images; what was made before is used again."""
    path = making.build(_say)
    if prune:
        making.prune(_say)
    click.echo(f"{path}\nsha256:{making.bundle_sum(path)}")


def _say(text: str) -> None:
    click.echo(text, err=True)


COMMANDS = (build,)
