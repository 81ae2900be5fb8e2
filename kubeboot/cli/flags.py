"""What flags say of a cluster and of a run, over files, over the environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import click
from click.core import ParameterSource

from kubeboot import errors
from kubeboot.cli import runtime
from kubeboot.config.purpose import LOOK, Purpose

if TYPE_CHECKING:
    from kubeboot.config.layers import Setting
    from kubeboot.config.loader import Loaded
    from kubeboot.config.run import RunSettings

SPEC_FLAGS: dict[str, tuple[str | int, ...]] = {
    "apiserver_advertise_address": ("node", "advertiseAddress"),
    "apiserver_bind_port": ("apiServer", "bindPort"),
    "apiserver_cert_extra_sans": ("apiServer", "certSANs"),
    "bundle": ("artifacts", "bundle"),
    "cache_dir": ("artifacts", "cacheDir"),
    "control_plane_endpoint": ("controlPlaneEndpoint",),
    "image_repository": ("artifacts", "imageRepository"),
    "kubernetes_version": ("kubernetesVersion",),
    "load_balancer": ("loadBalancer", "mode"),
    "lock": ("artifacts", "lockFile"),
    "locked": ("artifacts", "locked"),
    "node_name": ("node", "name"),
    "open_firewall": ("openFirewall",),
    "pod_network_cidr": ("networking", "podSubnet"),
    "service_cidr": ("networking", "serviceSubnet"),
    "service_dns_domain": ("networking", "dnsDomain"),
    "single": ("single",),
    "virtual_ip": ("loadBalancer", "virtualIP", "address"),
}
"""Where each flag's value goes in the description of the cluster."""

PATHS = (("artifacts", "bundle"), ("artifacts", "cacheDir"), ("artifacts", "lockFile"))
"""What is meant from where the command is run, and kept as an absolute path."""


def load(
    ctx: click.Context,
    files: Sequence[str],
    purpose: Purpose = LOOK,
    *,
    default: bool = True,
    more: Sequence[Setting] = (),
    below: Sequence[Setting] = (),
) -> Loaded:
    """The configuration from all its sources; warnings are said.

    `default`: the file in /etc belongs to the sources. `more`: what else flags say of the cluster.
    `below`: what an inventory says, over that file.
    """
    from kubeboot.config import loader

    now = runtime.current(ctx)
    flags, environment = _settings(ctx)
    sources = loader.Sources(
        default=loader.DEFAULT_FILE if default else None,
        environment=[*below, *environment],
        files=files,
        flags=[*flags, *more],
        stdin=getattr(sys.stdin, "buffer", None),
    )
    loaded = loader.load(sources, purpose)
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
            flags.append(setting(path, ctx.params[name], f"--{name.replace('_', '-')}"))
        elif source is ParameterSource.ENVIRONMENT:
            environment.append(setting(path, ctx.params[name], f"KUBEBOOT_{name.upper()}"))
    return flags, environment


def setting(path: tuple[str | int, ...], value: object, said: str) -> Setting:
    """A value of the description that a flag (or variable) has given."""
    from pathlib import Path

    from kubeboot.config.layers import Setting
    from kubeboot.config.problems import Origin

    if path in PATHS and value:
        value = str(Path(str(value)).absolute())
    return Setting(path, value, Origin(said, field=said, command_line=True))


class Run(TypedDict):
    """How a plan is run: the fields that every order for one has."""

    skip: frozenset[str]
    ignore_preflight: frozenset[str]
    dry_run: bool
    timeout_scale: float


def run(given: Mapping[str, Any], configured: RunSettings) -> Run:
    """From the flags of `params.run_options` and from the configuration, together."""
    ignored = (*given["ignore_preflight_errors"], *configured.ignore_preflight_errors)
    return Run(
        skip=phases((*given["skip_phases"], *configured.skip_phases)),
        ignore_preflight=frozenset(ignored),
        dry_run=given["dry_run"] or configured.dry_run,
        timeout_scale=given["timeout_scale"],
    )


def phases(names: tuple[str, ...]) -> frozenset[str]:
    """What is to be skipped, in kubeboot's own names; UsageProblem for a name that is none."""
    from kubeboot.config import phases

    found, wrong = phases.resolve(names)
    if wrong:
        raise errors.UsageProblem(
            "; ".join(p.message for p in wrong), hint="; ".join(p.fix or "" for p in wrong)
        )
    return found
