"""This machine: its facts, what it is fit for, and the credentials that lie on it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from kubeboot.artifacts import progress, sources
from kubeboot.artifacts.api import Source
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine.events import Emit, Notice
from kubeboot.host import looks
from kubeboot.host.api import HostView
from kubeboot.host.local import LocalView
from kubeboot.kube import client, dial, identity, surroundings
from kubeboot.kube.api import Api
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.facts import ClusterFacts
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight
from kubeboot.steps.preflight import Finding, Surroundings


def source(spec: ClusterSpec, arch: str, emit: Emit, *, dry: bool = False) -> Source:
    """Where this machine's binaries and images come from."""
    watch = progress.spoken(lambda text: emit(Notice("info", text)))
    return sources.source(spec, arch, watch=watch, peek=dry)


def api(
    see: HostView,
    paths: Iterable[str],
    server: str | None = None,
    timeout_scale: float = 1.0,
    dialler: dial.Dialler = dial.direct,
) -> Deferred:
    """The API by the first of these kubeconfigs that is on the machine when it is asked for."""

    def find() -> Api | None:
        for path in paths:
            data = see.read(path)
            if data is not None:
                with identity.naming(path):
                    return client.from_kubeconfig(data, dialler, see.read, server, timeout_scale)
        return None

    return Deferred(find)


def findings(scene: preflight.Scene, ignored: frozenset[str]) -> tuple[Finding, ...]:
    """Everything that preflight has to say of a machine; whether kubeboot was there is looked up here."""
    touched = looks.settled(scene.see, lambda: bool(journal.entries(scene.see)))
    return preflight.examine(dataclasses.replace(scene, touched=touched), preflight.CHECKS, ignored)


def around(api: surroundings.Timed, cluster: ClusterFacts) -> Surroundings:
    """What a machine that joins must know of the cluster to be examined."""
    machines, ahead = surroundings.machines(api), surroundings.ahead(api)
    return Surroundings(machines, cluster.control_planes, cluster.version, ahead)


def judge(found: Iterable[Finding], emit: Emit, *, dry: bool = False) -> None:
    """Tell the warnings; PreflightFailed for the errors, unless this is a dry run."""
    every = tuple(found)
    for finding in every:
        if finding.level == "warning":
            emit(Notice("warning", f"{finding.name}: {finding.message}; {finding.hint}", finding.host))
    if not dry:
        preflight.refuse(every)


def examine(spec: ClusterSpec, ignored: frozenset[str]) -> tuple[tuple[Finding, ...], int]:
    """Preflight alone: the findings, and how many checks were made."""
    see = LocalView()
    facts = see.facts()
    node = nodes.settings(spec, facts, "control_plane")
    scene = preflight.Scene(spec, node, facts, see, environ=os.environ)
    return findings(scene, ignored), len(preflight.CHECKS)
