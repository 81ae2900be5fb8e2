"""kubeboot token."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import click

from kubeboot import errors
from kubeboot.cli import hidden, params, report_tokens, runtime, screens, work
from kubeboot.cli.command import Group

if TYPE_CHECKING:
    from kubeboot.engine.values import Secret


@click.group(
    cls=Group,
    help="create, list and delete the tokens that machines join with",
    examples=("sudo kubeboot token create --print-join-command", "sudo kubeboot token list"),
)
def token() -> None:
    """Everything is in the sub-commands."""


@token.command(
    help="create a token, and return once machines can join with it",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot token create --print-join-command",
        "sudo kubeboot token create --ttl 2h --description 'for rack 7'",
        "kubeboot token generate | sudo kubeboot token create --token-file -",
    ),
)
@click.argument("token", metavar="[TOKEN]", required=False)
@params.token_file_option
@click.option(
    "--ttl",
    type=params.Duration(),
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="0: it does not expire",
)
@click.option("--description", default="", metavar="TEXT", help="what it is for")
@params.comma_option("--usages", help="signing, authentication; default: both", metavar="USAGE")
@params.comma_option("--groups", help="groups that its bearer belongs to", metavar="GROUP")
@click.option("--print-join-command", is_flag=True, help="print the complete join command, not the token")
@params.certificate_key_options
@params.kubeconfig_option
@click.pass_context
def create(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """The token, or the join command, is all that is on stdout."""
    from kubeboot.cli import actions
    from kubeboot.config import durations
    from kubeboot.fleet import orders_cluster

    options = orders_cluster.TokenCreateOptions(
        token=hidden.token(ctx, given["token"], given["token_file"]),
        ttl=given["ttl"],
        description=_one_line(given["description"]),
        usages=_usages(given["usages"]),
        groups=_groups(given["groups"]),
        join_command=given["print_join_command"],
        certificate_key=_key(ctx, given),
        kubeconfig=given["kubeconfig"],
    )
    now = work.logged(ctx)
    result = actions.token_create(options)
    if result.expires is not None:
        left = result.expires - datetime.datetime.now(datetime.UTC)
        now.say(f"it expires in {durations.words(left)}, at {screens.moment(result.expires)}")
    work.result(
        now, "Token", report_tokens.created(result), lambda: (result.join_command or result.token).reveal()
    )
    return 0


def _key(ctx: click.Context, given: dict[str, Any]) -> Secret[str] | None:
    hidden.one_reader(given["token_file"], (), given["certificate_key_file"])
    key = hidden.certificate_key(ctx, given["certificate_key"], given["certificate_key_file"])
    if key is not None and not given["print_join_command"]:
        raise errors.UsageProblem("a certificate key is only useful with --print-join-command")
    return key


def _one_line(text: str) -> str:
    if any(not c.isprintable() for c in text):
        raise errors.UsageProblem("--description holds a line break or a control character")
    return text


def _usages(given: tuple[str, ...]) -> tuple[str, ...]:
    for usage in given:
        if usage not in ("signing", "authentication"):
            raise errors.UsageProblem(f"there is no usage `{usage}`", hint="known: signing, authentication")
    return given


def _groups(given: tuple[str, ...]) -> tuple[str, ...]:
    import re

    for group in given:
        if not re.fullmatch(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", group):
            hint = "write it like system:bootstrappers:rack-7"
            raise errors.UsageProblem(f"`{group}` is not a group of bootstrap tokens", hint=hint)
    return given


@token.command(
    "list",
    help="show every token but its secret",
    outputs=("text", "json"),
    examples=("sudo kubeboot token list", "sudo kubeboot token list -o json | jq -r .tokens[].id"),
)
@params.kubeconfig_option
@click.pass_context
def list_(ctx: click.Context, kubeconfig: str) -> int:
    """One row a token, without its secret."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster

    now = work.logged(ctx)
    found = actions.token_list(orders_cluster.TokenListOptions(kubeconfig))
    data = {"tokens": [report_tokens.listed(each) for each in found]}
    work.result(now, "TokenList", data, lambda: report_tokens.table(found))
    return 0


@token.command(
    help="delete tokens, given in full or by id",
    examples=("sudo kubeboot token delete abcdef",),
    outputs=("text", "json"),
)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@params.kubeconfig_option
@click.pass_context
def delete(ctx: click.Context, ids: tuple[str, ...], kubeconfig: str) -> int:
    """Exit code 1 when one of them was not there."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster

    options = orders_cluster.TokenDeleteOptions(tuple(_id(ctx, text) for text in ids), kubeconfig)
    now = work.logged(ctx)
    result = actions.token_delete(options)
    data = {"deleted": list(result.deleted), "missing": list(result.missing)}
    work.result(
        now, "TokenDeletion", data, lambda: "\n".join(f"token {name} deleted" for name in result.deleted)
    )
    if result.missing:
        raise errors.KubebootError(
            f"there is no token {', '.join(result.missing)}",
            hint="`kubeboot token list` shows them",
            reason="KB_NO_TOKEN",
        )
    return 0


def _id(ctx: click.Context, text: str) -> str:
    """The public half of what may be a whole token."""
    from kubeboot.config import names
    from kubeboot.pki import tokens

    if names.token_id(text) is None:
        return text
    found = tokens.parse(text)
    runtime.current(ctx).redactor.hide(found.secret)
    return found.id


@token.command(
    help="print a random token, and do nothing with it", examples=("kubeboot token generate > token",)
)
@click.pass_context
def generate(ctx: click.Context) -> int:
    """No cluster is asked."""
    from kubeboot.pki import tokens

    runtime.current(ctx).console.data(tokens.generate().text)
    return 0
