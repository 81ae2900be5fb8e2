"""kubeboot version."""

from __future__ import annotations

import platform

import click

import kubeboot
from kubeboot.cli import runtime, work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="print the version",
    outputs=("text", "json"),
    examples=("kubeboot version", "kubeboot version -o json | jq -r .kubeboot"),
)
@click.pass_context
def version(ctx: click.Context) -> int:
    """kubeboot's own, and the Kubernetes versions that it knows."""
    from kubeboot.config import versions

    data = {
        "kubeboot": kubeboot.__version__,
        "kubernetes": [release.version for release in versions.RELEASES.values()],
        "python": platform.python_version(),
    }
    rest = f"Kubernetes {versions.supported()}; Python {platform.python_version()}"
    text = f"kubeboot {kubeboot.__version__} ({rest})"
    work.result(runtime.current(ctx), "Version", data, lambda: text)
    return 0
