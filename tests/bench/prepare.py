"""Runs on a machine: what a control plane needs before any tool is started, by kubeboot's own steps.

Artifacts installed, kernel set up, containerd running, all images imported. kubeadm and kubeboot start from
exactly this state.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
from pathlib import Path

exec(  # noqa: S102 - the lab's launcher knows where kubeboot lies
    next(line for line in Path("/usr/local/bin/kubeboot").read_text().splitlines() if "sys.path" in line)
)

from kubeboot.config import loader  # noqa: E402
from kubeboot.fleet import here, run  # noqa: E402
from kubeboot.host.local import LocalHost, LocalView  # noqa: E402
from kubeboot.kube.api import NoApi  # noqa: E402
from kubeboot.plan import init, node  # noqa: E402
from kubeboot.steps import tokens  # noqa: E402

ROOMS = ("trees/", "artifacts/", "kernel/", "runtime/", "images/", "kubelet/binary", "kubelet/kubectl")


def main() -> None:
    """The first part of init's plan, and nothing of the rest."""
    see = LocalView()
    facts = see.facts()
    spec = loader.load(loader.Sources(default=loader.DEFAULT_FILE)).spec
    settings = node.settings(spec, facts, "control_plane")
    source = here.source(spec, facts.arch, lambda event: None)
    whole = init.plan(spec, settings, source, tokens.steps(settings, None, datetime.timedelta(1)))
    kept = tuple(step for step in whole.steps if step.id.startswith(ROOMS))
    plan = dataclasses.replace(
        whole, steps=kept, skipped=frozenset(s.id for s in whole.steps) - {s.id for s in kept}
    )
    run.on_this_machine(plan, LocalHost(settings.name), NoApi(), lambda event: None)
    sys.stdout.write(f"{settings.address}\n")


main()
