"""kubeboot kubeconfig."""

from __future__ import annotations

import click

from kubeboot.cli import work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="print the administrator's kubeconfig",
    examples=(
        "mkdir -p ~/.kube && sudo kubeboot kubeconfig > ~/.kube/config",
        "sudo kubeboot kubeconfig --server https://k8s.example.org:8443",
    ),
)
@click.option("--server", metavar="URL", help="write this address of the API into it")
@click.pass_context
def kubeconfig(ctx: click.Context, server: str | None) -> int:
    """To stdout, and only there: it is a key to the cluster."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders

    now = work.logged(ctx)
    now.console.data(actions.kubeconfig(orders.KubeconfigOptions(server=_checked(server))).reveal())
    return 0


def _checked(server: str | None) -> str | None:
    if server is None:
        return None
    from kubeboot import errors
    from kubeboot.config import names

    try:
        scheme, separator, rest = server.partition("://")
        if scheme != "https" or not separator:
            raise ValueError("does not begin with https://")
        names.split_endpoint(rest.rstrip("/"))
    except ValueError as wrong:
        raise errors.UsageProblem(
            f"--server `{server}` {wrong}", hint="write it like https://k8s.example.org:8443"
        ) from None
    return server.rstrip("/")
