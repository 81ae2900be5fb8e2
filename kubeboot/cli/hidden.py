"""Tokens and keys, wherever they were given: from then on they are in no log and no child's environment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from kubeboot import errors, inputs
from kubeboot.cli import runtime

if TYPE_CHECKING:
    from kubeboot.config.run import Hidden
    from kubeboot.engine.values import Secret

MAX_BYTES = 4096
MAX_FILE = 1 << 20


def one_reader(token_file: str | None, config: tuple[str, ...], *others: str | None) -> None:
    """Standard input can be read once."""
    if [token_file, *others, *config].count("-") > 1:
        raise errors.UsageProblem("standard input can be read only once, and `-` is given more than once")


def token(
    ctx: click.Context, text: str | None, file: str | None, configured: Hidden | None = None
) -> Secret[str] | None:
    """The bootstrap token; UsageProblem if it is none."""
    from kubeboot.engine.values import Secret
    from kubeboot.pki import tokens

    said = _said(ctx, "token", text, file, configured)
    if said is None:
        return None
    found = tokens.parse(said)
    runtime.current(ctx).redactor.hide(found.secret)
    return Secret(found.text)


def certificate_key(
    ctx: click.Context, text: str | None, file: str | None, configured: Hidden | None = None
) -> Secret[str] | None:
    """The certificate key; UsageProblem if it is none."""
    from kubeboot.engine.values import Secret
    from kubeboot.pki import sealed

    said = _said(ctx, "certificate_key", text, file, configured)
    if said is None:
        return None
    found = sealed.parse_key(said)
    runtime.current(ctx).redactor.hide(found)
    return Secret(found)


def _said(
    ctx: click.Context, name: str, text: str | None, file: str | None, configured: Hidden | None
) -> str | None:
    """Typed over file over environment over configuration."""
    now = runtime.current(ctx)
    now.environ.pop(f"KUBEBOOT_{name.upper()}", None)
    option = f"--{name.replace('_', '-')}"
    if text is not None and file is not None:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise errors.UsageProblem(f"give either {option} or {option}-file, not both")
        text = None
    if file is not None:
        text = _read(file, f"{option}-file")
    if text is None and configured is not None:
        text = configured.value
    if text is not None:
        now.redactor.hide(text.strip())
    return text


def _read(source: str, option: str) -> str:
    return file(source, option, MAX_BYTES).decode("ascii", "replace")


def file(source: str, option: str, most: int = MAX_FILE) -> bytes:
    """A file that holds keys, or standard input; UsageProblem when it cannot be read."""
    try:
        if source == "-":
            return sys.stdin.buffer.read(most) if sys.stdin is not None else b""
        return inputs.read(source, most)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        hint = "name a file that this user may read, or `-` for standard input"
        raise errors.UsageProblem(f"{option} {source} cannot be read: {why}", hint=hint) from None
