"""Options that several commands share, and what their values must look like."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from kubeboot import errors
from kubeboot.cli import runtime

if TYPE_CHECKING:
    from kubeboot.config.layers import Setting
    from kubeboot.config.loader import Loaded
    from kubeboot.config.run import Hidden
    from kubeboot.engine.values import Secret

F = TypeVar("F", bound=Callable[..., Any])

SPEC_FLAGS: dict[str, tuple[str | int, ...]] = {
    "apiserver_advertise_address": ("node", "advertiseAddress"),
    "apiserver_bind_port": ("apiServer", "bindPort"),
    "apiserver_cert_extra_sans": ("apiServer", "certSANs"),
    "bundle": ("artifacts", "bundle"),
    "cache_dir": ("artifacts", "cacheDir"),
    "control_plane_endpoint": ("controlPlaneEndpoint",),
    "image_repository": ("artifacts", "imageRepository"),
    "kubernetes_version": ("kubernetesVersion",),
    "lock": ("artifacts", "lockFile"),
    "locked": ("artifacts", "locked"),
    "node_name": ("node", "name"),
    "pod_network_cidr": ("networking", "podSubnet"),
    "service_cidr": ("networking", "serviceSubnet"),
    "service_dns_domain": ("networking", "dnsDomain"),
    "single": ("single",),
}
"""Where each flag's value goes in the description of the cluster."""

PATHS = (("artifacts", "bundle"), ("artifacts", "cacheDir"), ("artifacts", "lockFile"))
"""What is meant from where the command is run, and kept as an absolute path."""

MAX_TOKEN_BYTES = 4096


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


config_option = click.option(
    "--config",
    "config",
    multiple=True,
    metavar="FILE",
    help="configuration: file, directory, or - for stdin; repeatable",
)
skip_option = comma_option("--skip-phases", help="leave out these groups of steps", metavar="PHASE")
ignore_option = comma_option(
    "--ignore-preflight-errors", help="go on in spite of these findings, or `all`", metavar="NAME"
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
    "--token-file", metavar="FILE", help="file that holds the token; - for stdin"
)
node_name_option = click.option(
    "--node-name", metavar="NAME", help="this machine's name in the cluster; default: its hostname"
)
bundle_option = click.option(
    "--bundle", metavar="FILE", help="install from this bundle instead of downloading"
)
kubeconfig_option = click.option(
    "--kubeconfig",
    default="/etc/kubernetes/admin.conf",
    show_default=True,
    metavar="FILE",
    help="whom to ask, and as whom",
)


def load(
    ctx: click.Context,
    sources: tuple[str, ...],
    *unwanted: str,
    read_files: bool = True,
    default: bool = True,
) -> Loaded:
    """The configuration from all its sources; warnings are said. `unwanted`: documents for other commands.

    `default`: the file in /etc belongs to the sources.
    """
    from kubeboot.config import loader

    now = runtime.current(ctx)
    flags, environment = _settings(ctx)
    stdin = getattr(sys.stdin, "buffer", None)
    loaded = loader.load(
        sources,
        flags=flags,
        environment=environment,
        default=loader.DEFAULT_FILE if default else None,
        stdin=stdin,
        unwanted=frozenset(unwanted),
        read_files=read_files,
        joining="InitConfiguration" in unwanted,
    )
    for warning in loaded.warnings:
        now.say(f"{now.stderr.paint('warn', 'warning:')} {warning}")
    return loaded


def _settings(ctx: click.Context) -> tuple[list[Setting], list[Setting]]:
    """What flags said, and what KUBEBOOT_* variables said: the latter is weaker than a --config file."""
    flags: list[Setting] = []
    environment: list[Setting] = []
    for name, path in SPEC_FLAGS.items():
        source = ctx.get_parameter_source(name) if name in ctx.params else None
        if source is ParameterSource.COMMANDLINE:
            flags.append(_setting(path, ctx.params[name], f"--{name.replace('_', '-')}"))
        elif source is ParameterSource.ENVIRONMENT:
            environment.append(_setting(path, ctx.params[name], f"KUBEBOOT_{name.upper()}"))
    return flags, environment


def _setting(path: tuple[str | int, ...], value: object, said: str) -> Setting:
    from pathlib import Path

    from kubeboot.config.layers import Setting
    from kubeboot.config.problems import Origin

    if path in PATHS:
        value = str(Path(str(value)).absolute())
    return Setting(path, value, Origin(said, field=said, command_line=True))


def one_reader(token_file: str | None, config: tuple[str, ...], key_file: str | None = None) -> None:
    """Standard input can be read once."""
    if [token_file, key_file, *config].count("-") > 1:
        raise errors.UsageProblem("standard input can be read once, and `-` is given more often")


def find_token(
    ctx: click.Context, token: str | None, token_file: str | None, from_config: Hidden | None = None
) -> Secret[str] | None:
    """The token from wherever it was given; from now on it is in no log and in no child's environment."""
    from kubeboot.engine.values import Secret
    from kubeboot.pki import tokens

    now = runtime.current(ctx)
    now.environ.pop("KUBEBOOT_TOKEN", None)
    if token is not None and token_file is not None:
        typed = ctx.get_parameter_source("token") is ParameterSource.COMMANDLINE
        if typed:
            raise errors.UsageProblem("give either --token or --token-file, not both")
        token = None
    text = _read_token(token_file) if token_file is not None else token
    if text is None and from_config is not None:
        text = from_config.value
    if text is None:
        return None
    now.redactor.hide(text.strip())
    found = tokens.parse(text)
    now.redactor.hide(found.secret)
    return Secret(found.text)


certificate_key_option = click.option(
    "--certificate-key", metavar="KEY", help="opens the uploaded certificates; KUBEBOOT_CERTIFICATE_KEY too"
)
certificate_key_file_option = click.option(
    "--certificate-key-file", metavar="FILE", help="file that holds the certificate key; - for stdin"
)


def find_certificate_key(
    ctx: click.Context, key: str | None, key_file: str | None, from_config: Hidden | None = None
) -> Secret[str] | None:
    """The certificate key from wherever it was given; from now on it is in no log."""
    from kubeboot.engine.values import Secret
    from kubeboot.pki import sealed

    now = runtime.current(ctx)
    now.environ.pop("KUBEBOOT_CERTIFICATE_KEY", None)
    if key is not None and key_file is not None:
        if ctx.get_parameter_source("certificate_key") is ParameterSource.COMMANDLINE:
            raise errors.UsageProblem("give either --certificate-key or --certificate-key-file, not both")
        key = None
    text = _read_token(key_file, "--certificate-key-file") if key_file is not None else key
    if text is None and from_config is not None:
        text = from_config.value
    if text is None:
        return None
    now.redactor.hide(text.strip())
    found = sealed.parse_key(text)
    now.redactor.hide(found)
    return Secret(found)


def _read_token(source: str, option: str = "--token-file") -> str:
    try:
        if source == "-":
            return sys.stdin.read(MAX_TOKEN_BYTES) if sys.stdin is not None else ""
        with open(source, encoding="ascii", errors="replace") as stream:  # noqa: PTH123 - may be a pipe
            return stream.read(MAX_TOKEN_BYTES)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise errors.UsageProblem(f"{option} {source} cannot be read: {why}") from None


def find_phases(names: tuple[str, ...], from_config: tuple[str, ...] = ()) -> frozenset[str]:
    """What is to be skipped, in kubeboot's own names; UsageProblem for a name that is none."""
    from kubeboot.config import phases

    found, wrong = phases.resolve((*names, *from_config))
    if wrong:
        raise errors.UsageProblem(
            "; ".join(p.message for p in wrong), hint="; ".join(p.fix or "" for p in wrong)
        )
    return found
