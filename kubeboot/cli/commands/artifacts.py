"""kubeboot artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kubeboot.cli import flags, params, runtime, supplies, work
from kubeboot.cli.command import Group


@click.group(
    cls=Group,
    help="list, lock and download what a cluster is made of",
    examples=(
        "kubeboot artifacts list",
        "kubeboot artifacts lock --arch amd64 --arch arm64",
        "kubeboot artifacts pull --to /media/usb/kubeboot",
    ),
)
def artifacts() -> None:
    """Everything is in the sub-commands."""


@artifacts.command(
    "list",
    help="show every binary and image, and what is known of it, without asking upstream",
    outputs=("text", "json"),
    examples=(
        "kubeboot artifacts list --kubernetes-version 1.36",
        "kubeboot artifacts list -o json | jq -r '.images[].name'",
    ),
)
@supplies.version_option
@supplies.arch_option
@supplies.repository_option
@supplies.lock_option
@params.bundle("list what this bundle has")
@params.config_option
@click.pass_context
def list_(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """A table."""
    from kubeboot.artifacts import verbs

    spec = flags.load(ctx, given["config"]).spec
    found = verbs.listing(spec, supplies.arch(given["arch"]))
    text = supplies.data(found.catalog, found.places)
    work.result(
        runtime.current(ctx), "ArtifactList", text, lambda: supplies.table(found.catalog, found.places)
    )
    return 0


@artifacts.command(
    help="ask upstream for every version and sum, and record them in your own lock",
    outputs=("text", "json"),
    examples=(
        "kubeboot artifacts lock",
        "kubeboot artifacts lock --arch amd64 --arch arm64 --lock ./lock.yaml",
        "kubeboot artifacts lock --locked                # fail if no lock has something",
    ),
)
@supplies.archs_option
@supplies.download_options
@click.pass_context
def lock(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401
    """What was found out is on stderr, the lock's path on stdout."""
    from kubeboot.artifacts import verbs

    spec = flags.load(ctx, given["config"]).spec
    now = work.logged(ctx)
    found = verbs.lock(spec, supplies.archs(given["arch"]), supplies.watch(now))
    data = {"path": str(found.path), "files": found.files, "images": found.images}
    work.result(now, "Lock", data, lambda: str(found.path))
    return 0


@artifacts.command(
    help="download everything and check it: into the cache, or into a directory for an offline site",
    outputs=("text", "json"),
    examples=(
        "kubeboot artifacts pull                          # ahead of `kubeboot init`",
        "kubeboot artifacts pull --to /media/usb/kubeboot --arch amd64 --arch arm64",
    ),
)
@click.option("--to", metavar="DIR", help="a directory to fill, in addition to the cache")
@supplies.archs_option
@supplies.download_options
@click.pass_context
def pull(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401
    """Where everything is, on stdout."""
    from kubeboot.artifacts import verbs

    spec = flags.load(ctx, given["config"]).spec
    now = work.logged(ctx)
    to = Path(given["to"]) if given["to"] is not None else None
    where = verbs.pull(spec, supplies.archs(given["arch"]), to, supplies.watch(now))
    work.result(now, "Pull", {"path": str(where)}, lambda: str(where))
    return 0
