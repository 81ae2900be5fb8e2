"""kubeboot.1, from what click knows of the commands: it cannot say what the program does not."""

from __future__ import annotations

from collections.abc import Iterator

import click

import kubeboot
from kubeboot.cli import app, runtime

_EXIT = (
    (0, "everything is as it should be"),
    (1, "a step failed, or something unexpected happened"),
    (2, "the command line cannot mean anything"),
    (3, "the machine is not fit; nothing was changed"),
    (4, "the description of the cluster is wrong; nothing was changed"),
    (5, "a machine or an API cannot be reached, or refuses the credentials"),
    (6, "a wait ended without its condition"),
    (7, "another run holds the lock, or another cluster is here"),
    (130, "interrupted"),
)
_FILES = (
    ("/etc/kubeboot/cluster.yaml", "the configuration, when no --config is given"),
    ("/var/lib/kubeboot", "the journal: what was there before, which reset restores"),
    ("/var/log/kubeboot", "a log of every run, without secrets"),
    ("/var/cache/kubeboot", "downloads, and what kubeboot.pyz unpacked"),
    ("/etc/kubernetes, /var/lib/kubelet, /var/lib/etcd", "the cluster, laid out as kubeadm does it"),
)


def page() -> str:
    """The whole page, as roff."""
    root = click.Context(app.cli, info_name="kubeboot", obj=runtime.Runtime())
    return "\n".join((*_head(), *_commands(root), *_tail())) + "\n"


def _head() -> Iterator[str]:
    yield f'.TH KUBEBOOT 1 "" "kubeboot {kubeboot.__version__}" "User Commands"'
    yield from (".SH NAME", rf"kubeboot \- {_text(app.cli.help or '')}")
    yield from (".SH SYNOPSIS", r"\fBkubeboot\fR \fICOMMAND\fR [\fIOPTIONS\fR]")
    yield from (".SH EXAMPLES", *_examples(app.cli))


def _tail() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    yield _text(app.cli.epilog or "")
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT:
        yield from (".TP", rf"\fB{code}\fR", _text(meaning))
    yield ".SH FILES"
    for path, meaning in _FILES:
        yield from (".TP", rf"\fI{_text(path)}\fR", _text(meaning))
    yield from (".SH SEE ALSO", r"\fBkubectl\fR(1), \fBsystemctl\fR(1), \fBjournalctl\fR(1)")


def _commands(root: click.Context) -> Iterator[str]:
    yield ".SH COMMANDS"
    for ctx in _walk(root):
        pieces = ctx.command.collect_usage_pieces(ctx)
        yield rf".SS {_text(ctx.command_path)} {_text(' '.join(pieces))}"
        yield _text((ctx.command.help or "").strip())
        yield from _options(ctx)
        yield from _examples(ctx.command)
    yield ".SH OPTIONS OF EVERY COMMAND"
    yield from _records(root, shared=True)


def _walk(ctx: click.Context) -> Iterator[click.Context]:
    """Every command that does something, below this one."""
    if not isinstance(ctx.command, click.Group):
        yield ctx
        return
    for name in ctx.command.list_commands(ctx):
        found = ctx.command.get_command(ctx, name)
        if found is not None:
            yield from _walk(click.Context(found, info_name=name, parent=ctx))


def _options(ctx: click.Context) -> Iterator[str]:
    yield from _records(ctx, shared=False)


def _records(ctx: click.Context, *, shared: bool) -> Iterator[str]:
    """Options with what they do; what a command shares with all others is said once for all."""
    for param in ctx.command.get_params(ctx):
        record = param.get_help_record(ctx)
        everywhere = not param.expose_value and param.name != "output"
        if record is not None and everywhere == shared:
            yield from (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]))


def _examples(command: click.Command) -> Iterator[str]:
    examples: tuple[str, ...] = getattr(command, "examples", ())
    if examples:
        yield from (".PP", ".nf", ".RS 4", *map(_text, examples), ".RE", ".fi")


def _text(plain: str) -> str:
    r"""Plain text for roff: backslashes and hyphens as they are, and no line is a request."""
    escaped = plain.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
