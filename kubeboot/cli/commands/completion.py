"""kubeboot completion."""

from __future__ import annotations

import click

from kubeboot.cli import runtime
from kubeboot.cli.command import Command


@click.command(
    cls=Command,
    help="print a completion script for your shell",
    examples=(
        "kubeboot completion bash | sudo tee /etc/bash_completion.d/kubeboot",
        'kubeboot completion zsh > "${fpath[1]}/_kubeboot"',
        "kubeboot completion fish > ~/.config/fish/completions/kubeboot.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """click's own script; the shell asks kubeboot itself for the words."""
    from click import shell_completion

    kind = shell_completion.get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}", ctx)
    complete = kind(ctx.find_root().command, {}, "kubeboot", "_KUBEBOOT_COMPLETE")
    template, names = complete.source_template, complete.source_vars()
    runtime.current(ctx).console.data(template % names)
    return 0
