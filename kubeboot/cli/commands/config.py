"""kubeboot config."""

from __future__ import annotations

import json
from typing import Any

import click

from kubeboot.cli import flags, params, runtime
from kubeboot.cli.command import Group
from kubeboot.config import purpose


@click.group(
    cls=Group,
    help="print, validate and describe the configuration",
    examples=("kubeboot config print --defaults > cluster.yaml", "kubeboot config validate cluster.yaml"),
)
def config() -> None:
    """Everything is in the sub-commands."""


@config.command(
    "print",
    help="print the effective configuration, with all defaults",
    outputs=("yaml", "json"),
    examples=(
        "kubeboot config print --defaults > cluster.yaml",
        "kubeboot config print --config cluster.yaml        # with the defaults for what it leaves out",
        "kubeboot config print --effective                  # and with the files that it names",
    ),
)
@click.option("--defaults", is_flag=True, help="the defaults alone")
@click.option("--effective", is_flag=True, help="with the contents of the files that it names")
@params.config_option
@click.pass_context
def print_(ctx: click.Context, defaults: bool, effective: bool, config: tuple[str, ...]) -> int:
    """What it prints is a configuration file."""
    from kubeboot import render
    from kubeboot.config import describe
    from kubeboot.config.spec import ClusterSpec

    now = runtime.current(ctx)
    wanted = purpose.LOOK if effective else purpose.PRINT
    spec = ClusterSpec() if defaults else flags.load(ctx, config, wanted).spec
    data = describe.document(spec)
    now.console.data(json.dumps(data, indent=2) if now.settings.json else render.dump(data))
    return 0


@config.command(
    help="convert kubeadm's documents to a Cluster document",
    outputs=("yaml", "json"),
    examples=(
        "kubeboot config migrate kubeadm.yaml > cluster.yaml",
        "kubectl get configmap kubeadm-config -n kube-system -o jsonpath='{.data.ClusterConfiguration}' |",
        "  kubeboot config migrate -",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.pass_context
def migrate(ctx: click.Context, files: tuple[str, ...]) -> int:
    """What has no place in a Cluster document is said on stderr, with the flag that says it."""
    from kubeboot import render
    from kubeboot.config import describe

    now = runtime.current(ctx)
    loaded = flags.load(ctx, files, purpose.PRINT, default=False)
    for line in describe.flags(loaded.run):
        now.say(f"{now.stderr.paint('warn', 'warning:')} {line}")
    data = describe.said(loaded.spec)
    now.console.data(json.dumps(data, indent=2) if now.settings.json else render.dump(data))
    return 0


@config.command(
    help="report everything that is wrong with a configuration",
    examples=(
        "kubeboot config validate cluster.yaml",
        "kubectl get ... -o yaml | kubeboot config validate -",
    ),
    outputs=("text", "json"),
)
@click.argument("files", metavar="FILE...", nargs=-1)
@params.config_option
@click.pass_context
def validate(ctx: click.Context, files: tuple[str, ...], config: tuple[str, ...]) -> int:
    """Exit code 4 when something is wrong."""
    from kubeboot.cli import work

    now = runtime.current(ctx)
    loaded = flags.load(ctx, (*config, *files))
    data: dict[str, Any] = {
        "valid": True,
        "sources": list(loaded.sources),
        "warnings": list(loaded.warnings),
    }
    read = ", ".join(loaded.sources) or "no file was given, and the defaults are"
    work.told(now, "Validation", data, f"{read} valid" if not loaded.sources else f"{read}: valid")
    return 0


@config.command(
    help="print the JSON Schema of the configuration, for editors",
    examples=(
        "kubeboot config schema > kubeboot.schema.json",
        "kubeboot config schema --markdown               # as Markdown, for reading",
    ),
)
@click.option("--markdown", is_flag=True, help="the reference as Markdown instead")
@click.pass_context
def schema(ctx: click.Context, markdown: bool) -> int:
    """With the schema beside it, an editor completes and checks cluster.yaml."""
    from kubeboot.config import describe, reference

    text = reference.markdown() if markdown else json.dumps(describe.schema(), indent=2)
    runtime.current(ctx).console.data(text)
    return 0
