"""What one invocation of kubeboot knows about itself: settings, console, log."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

import click

from kubeboot.cli.console import Console
from kubeboot.cli.terminal import ColorChoice, Terminal

if TYPE_CHECKING:
    from kubeboot.log import Log, Redactor

Output = Literal["text", "json"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options that every command shares."""

    verbose: int = 0
    quiet: bool = False
    debug: bool = False
    color: ColorChoice = "auto"
    output: Output = "text"

    @property
    def json(self) -> bool:
        return self.output == "json"


class Runtime:
    """One invocation. The log is opened by the commands that do something, or by a crash.

    While a question is asked (`asking`) nothing else is shown; a live display comes back with the next event.
    """

    def __init__(self) -> None:
        self.environ: MutableMapping[str, str] = os.environ
        self.settings = Settings()
        self.console = Console(self.environ)
        self.command = "kubeboot"
        self.log: Log | None = None
        self.asking: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        self._redactor: Redactor | None = None

    @property
    def redactor(self) -> Redactor:
        if self._redactor is None:
            from kubeboot.log import Redactor

            self._redactor = Redactor()
        return self._redactor

    @property
    def stderr(self) -> Terminal:
        return self.console.stderr(self.settings.color)

    @property
    def stdout(self) -> Terminal:
        return self.console.stdout(self.settings.color)

    def say(self, text: str) -> None:
        """Tell the person something, unless -q."""
        if not self.settings.quiet:
            self.console.say(text)

    def open_log(self, *, to_disk: bool = True) -> None:
        """Begin the DEBUG log; `to_disk=False` for dry runs, which leave nothing behind."""
        from kubeboot import log

        if self.log is None:
            where = log.directory(self.environ, os.geteuid()) if to_disk else None
            echo = self.settings.verbose > 1 and not self.settings.quiet
            self.log = log.start(self.command, where, self.redactor, echo=echo)

    def close(self) -> None:
        if self.log is not None:
            self.log.close()


def current(ctx: click.Context) -> Runtime:
    """The invocation that a click context belongs to."""
    return ctx.ensure_object(Runtime)
