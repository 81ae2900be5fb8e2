"""kubeboot preflight."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import flags, params, work
from kubeboot.cli.command import Command

if TYPE_CHECKING:
    from kubeboot.fleet.orders import PreflightResult
    from kubeboot.steps.preflight.model import Finding

FAILED = 3


@click.command(
    cls=Command,
    help="check whether this machine can become a node",
    outputs=("text", "json"),
    examples=("sudo kubeboot preflight", "sudo kubeboot preflight --config cluster.yaml -o json"),
)
@click.option(
    "--apiserver-advertise-address", metavar="IP", help="the address by which other machines reach this one"
)
@params.node_name_option
@params.bundle("check for what this bundle installs")
@params.config_option
@params.ignore_option
@click.pass_context
def preflight(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Exit code 3 when a finding stands in the way."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders

    loaded = flags.load(ctx, given["config"])
    now = work.logged(ctx, dry_run=True)
    ignored = frozenset((*given["ignore_preflight_errors"], *loaded.run.ignore_preflight_errors))
    result = actions.preflight(orders.PreflightOptions(loaded.spec, ignored))
    work.result(now, "PreflightResult", _data(result), lambda: _text(result))
    return FAILED if any(f.level == "error" for f in result.findings) else 0


def _data(result: PreflightResult) -> dict[str, Any]:
    return {"checks": result.checks, "findings": [dataclasses.asdict(f) for f in result.findings]}


def _text(result: PreflightResult) -> str:
    if not result.findings:
        return f"{result.checks} checks, nothing found: this machine is fit"
    count = sum(f.level == "error" for f in result.findings)
    verdict = f"{result.checks} checks: {count} to fix, {len(result.findings) - count} to note"
    return "\n".join([*(line for f in result.findings for line in _finding(f)), verdict])


def _finding(finding: Finding) -> list[str]:
    place = f"{finding.host}: " if finding.host else ""
    return [f"[{finding.level.upper()} {finding.name}] {place}{finding.message}", f"    fix: {finding.hint}"]
