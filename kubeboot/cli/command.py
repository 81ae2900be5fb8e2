"""Commands and groups as kubeboot shows them: examples first, lower case, imported only when used."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from kubeboot.cli import runtime

ENVIRONMENT_PREFIX = "KUBEBOOT"
_CONTEXT = {
    "auto_envvar_prefix": ENVIRONMENT_PREFIX,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}


def _note(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Put a shared option into the settings; the last one said wins, whichever command it was said to."""
    source = ctx.get_parameter_source(param.name or "")
    if source in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP, None):
        return
    inner = ctx.parent is not None and param.name != "output"
    if source is ParameterSource.ENVIRONMENT and inner:
        return
    now = runtime.current(ctx)
    if param.name == "verbose" and isinstance(value, int):
        value += now.settings.verbose
    change: dict[str, Any] = {str(param.name): value}
    now.settings = dataclasses.replace(now.settings, **change)


def _help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        runtime.current(ctx).console.data(ctx.get_help())
        ctx.exit()


def _shared() -> list[click.Parameter]:
    hidden: dict[str, Any] = {"expose_value": False, "callback": _note}
    return [
        click.Option(["-v", "--verbose"], count=True, help="say more; -vv shows the log itself", **hidden),
        click.Option(["-q", "--quiet"], is_flag=True, help="print only errors on stderr", **hidden),
        click.Option(["--debug"], is_flag=True, help="show tracebacks", **hidden),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="when to use colour",
            **hidden,
        ),
    ]


def _output(choices: Sequence[str]) -> click.Option:
    return click.Option(
        ["-o", "--output"],
        type=click.Choice(list(choices)),
        default=choices[0],
        show_default=True,
        help="how to print the result",
        expose_value=False,
        callback=_note,
    )


class _Shown(click.Command):
    """How help looks: what it does, examples, usage, options."""

    examples: tuple[str, ...] = ()

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "show this help"
            option.callback = _help
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"{(self.help or '').strip()}\n")
        if self.examples:
            formatter.write("\nexamples:\n")
            formatter.write("".join(f"  {line}\n" for line in self.examples))
        pieces = self.collect_usage_pieces(ctx)
        formatter.write(f"\nusage: {' '.join([ctx.command_path, *pieces])}\n")
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                continue
            if (record := param.get_help_record(ctx)) is not None:
                (own if param.expose_value else shared).append(record)
        for title, records in (("options", own), ("shared options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class FileName(click.ParamType[str]):
    """Any text; shells complete it as the name of a file."""

    name = "filename"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return [click.shell_completion.CompletionItem(incomplete, type="file")]


class Command(_Shown):
    """One command. `outputs` are the values that its -o takes; none, no -o."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        examples: Sequence[str] = (),
        outputs: Sequence[str] = (),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        kwargs.setdefault("context_settings", dict(_CONTEXT))
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params += ([_output(outputs)] if outputs else []) + _shared()
        for param in self.params:
            if param.metavar in ("FILE", "FILE..."):
                param.type = FileName()


class Group(_Shown, click.Group):
    """A group of commands; `lazy` maps names to `module:attribute` and one line of help."""

    command_class = Command

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        examples: Sequence[str] = (),
        lazy: Mapping[str, tuple[str, str]] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        kwargs.setdefault("context_settings", dict(_CONTEXT))
        kwargs.setdefault("subcommand_metavar", "COMMAND ...")
        kwargs.setdefault("options_metavar", "[OPTIONS]")
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.lazy = dict(lazy or {})
        self.params += _shared()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{module}:{attribute} is not a command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            raise UnknownCommand(name, self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("commands"):
            formatter.write_dl([(name, self._line(ctx, name)) for name in self.list_commands(ctx)])
        super().format_options(ctx, formatter)

    def _line(self, ctx: click.Context, name: str) -> str:
        if name in self.lazy:
            return self.lazy[name][1]
        return (getattr(self.get_command(ctx, name), "help", "") or "").strip().splitlines()[0]


class UnknownCommand(click.UsageError):
    """A command that does not exist, with the one that was perhaps meant."""

    def __init__(self, name: str, known: Sequence[str], ctx: click.Context) -> None:
        import difflib

        super().__init__(f"no such command `{name}`", ctx)
        self.possibilities = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
