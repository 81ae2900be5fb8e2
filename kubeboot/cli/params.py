"""Options that several commands share, and what their values look like."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[datetime.timedelta]):
    """`24h`, `1h30m`, `0`."""

    name = "duration"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime.timedelta:
        if isinstance(value, datetime.timedelta):
            return value
        from kubeboot.config import durations

        found = durations.parse(str(value))
        if found is None:
            self.fail(f"`{value}` is not a duration; write it like 24h, 90m or 0", param, ctx)
        return found


class Factor(click.ParamType[float]):
    """A number by which time limits are multiplied."""

    name = "factor"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        try:
            factor = float(value)
        except ValueError:
            factor = 0.0
        if not 0.1 <= factor <= 1000:
            self.fail(f"`{value}` is not a number from 0.1 to 1000", param, ctx)
        return factor


def _split(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for text in value for part in text.split(",") if part.strip())


def comma_option(*names: str, help: str, metavar: str) -> Callable[[F], F]:
    """An option that takes several values."""
    return click.option(
        *names, multiple=True, callback=_split, help=f"{help}; repeatable, or with commas", metavar=metavar
    )


def bundle(help: str) -> Callable[[F], F]:
    """The option that names a bundle."""
    return click.option("--bundle", metavar="FILE", help=help)


config_option = click.option(
    "--config",
    "config",
    multiple=True,
    metavar="FILE",
    help="configuration: file, directory, or - for stdin; repeatable",
)
skip_option = comma_option("--skip-phases", help="leave out these groups of steps", metavar="PHASE")
ignore_option = comma_option(
    "--ignore-preflight-errors", help="continue despite these findings, or `all`", metavar="NAME"
)
dry_run_option = click.option("--dry-run", is_flag=True, help="print what would be done, and change nothing")
scale_option = click.option(
    "--timeout-scale",
    type=Factor(),
    default=1.0,
    metavar="FACTOR",
    help="multiply every time limit by this, for slow machines; default 1",
)
token_option = click.option(
    "--token",
    metavar="TOKEN",
    help="bootstrap token; --token-file and KUBEBOOT_TOKEN keep it out of shell histories",
)
token_file_option = click.option(
    "--token-file", metavar="FILE", help="file to read the token from; - for stdin"
)
node_name_option = click.option(
    "--node-name", metavar="NAME", help="this machine's name in the cluster; default: its hostname"
)
certificate_key_option = click.option(
    "--certificate-key",
    metavar="KEY",
    help="decrypts the uploaded certificates; KUBEBOOT_CERTIFICATE_KEY too",
)
certificate_key_file_option = click.option(
    "--certificate-key-file", metavar="FILE", help="file to read the certificate key from; - for stdin"
)
bundle_option = bundle("install from this bundle instead of downloading")
open_firewall_option = click.option(
    "--open-firewall",
    is_flag=True,
    help="let the cluster's traffic through this machine's firewalls; reset undoes it",
)
kubeconfig_option = click.option(
    "--kubeconfig",
    default="/etc/kubernetes/admin.conf",
    show_default=True,
    metavar="FILE",
    help="the API server to ask, and the credentials for it",
)


def run_options(command: F) -> F:
    """What every command that runs a plan takes."""
    for option in (scale_option, dry_run_option, ignore_option, skip_option, config_option):
        command = option(command)
    return command


def certificate_key_options(command: F) -> F:
    """The certificate key, as an argument or from a file."""
    return certificate_key_option(certificate_key_file_option(command))


def token_options(command: F) -> F:
    """The bootstrap token, as an argument or from a file."""
    return token_option(token_file_option(command))
