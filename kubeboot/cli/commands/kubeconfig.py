"""kubeboot kubeconfig."""

from __future__ import annotations

from typing import Any

import click

from kubeboot.cli import doors, inventories, params, work
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="print the administrator's kubeconfig, or add it to your own",
    examples=(
        "kubeboot kubeconfig --merge -i hosts.ini         # into ~/.kube/config, over SSH",
        "mkdir -p ~/.kube && sudo kubeboot kubeconfig > ~/.kube/config",
        "sudo kubeboot kubeconfig --server https://k8s.example.org:8443",
    ),
)
@click.option("--server", metavar="URL", help="write this address of the API into it")
@click.option("--merge", is_flag=True, help="add it to ~/.kube/config, or to the first file of KUBECONFIG")
@click.option("--context", metavar="NAME", help="with --merge: its name there; default: the cluster's")
@inventories.inventory_option
@params.config_option
@doors.access_options
@click.pass_context
def kubeconfig(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """To stdout or into one file, and nowhere else: it is a key to the cluster."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster, orders_fleet

    now = work.logged(ctx)
    server = _checked(given["server"])
    if given["merge"]:
        to = (now.environ.get("KUBECONFIG") or "~/.kube/config").partition(":")[0]
        remote = given["inventory"] is not None or given["config"]
        machines, door = None, None
        if remote:
            machines, spec = inventories.find(ctx, given)
            door = doors.meant(ctx, doors.door(ctx, given), machines, spec.cluster_name)
        wanted = orders_fleet.MergeOptions(to, machines, server=server, context=given["context"], door=door)
        name = actions.merge(wanted)
        now.say(f"{to}: the current context is {name}")
        return 0
    now.console.data(actions.kubeconfig(orders_cluster.KubeconfigOptions(server=server)).reveal())
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
