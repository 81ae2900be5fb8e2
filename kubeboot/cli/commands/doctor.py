"""kubeboot doctor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import flags, params, work
from kubeboot.cli.command import Command

if TYPE_CHECKING:
    from kubeboot.fleet.doctor import Diagnosis


@click.command(
    cls=Command,
    help="find what is wrong with this machine and its cluster",
    outputs=("text", "json"),
    examples=("sudo kubeboot doctor", "sudo kubeboot doctor -o json | jq '.findings[].name'"),
)
@params.kubeconfig_option
@params.node_name_option
@params.bundle("compare the machine with what this bundle installs")
@params.config_option
@click.pass_context
def doctor(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Exit code 1 when something has to be fixed."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders

    loaded = flags.load(ctx, given["config"])
    now = work.logged(ctx, dry_run=True)
    found = actions.doctor(orders.DoctorOptions(loaded.spec, given["kubeconfig"]))
    work.result(now, "Diagnosis", _data(found), lambda: _text(found))
    return 0 if found.healthy else 1


def _data(found: Diagnosis) -> dict[str, Any]:
    return {
        "healthy": found.healthy,
        "checks": found.checks,
        "findings": [dataclasses.asdict(finding) for finding in found.findings],
    }


def _text(found: Diagnosis) -> str:
    lines = [line for f in found.findings for line in (f"[{f.level.upper()} {f.name}] {f.host}: {f.message}",
                                                       f"    fix: {f.hint}")]  # fmt: skip
    bad = sum(f.level == "error" for f in found.findings)
    few = len(found.findings) - bad
    verdict = f"{found.checks} checks: {bad or 'nothing'} to fix, {few or 'nothing'} to note"
    return "\n".join((*lines, verdict))
