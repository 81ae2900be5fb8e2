"""What every machine of a cluster needs, whatever its role."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from kubeboot.artifacts.api import Source
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.plan.node import OWN_RESOLV_CONF
from kubeboot.steps import artifacts, basic, images, kernel, runtime, trees


def steps(spec: ClusterSpec, node: NodeSettings, source: Source, cpus: int) -> tuple[Step, ...]:
    """Directories, verified artifacts, kernel settings, containerd, images, the pods' resolver."""
    catalog = source.catalog()
    return (
        *trees.steps(node.name),
        *artifacts.steps(node, catalog, source),
        *kernel.steps(spec, node, cpus),
        *runtime.steps(node, catalog, source),
        *images.steps(node, catalog, source),
        *_resolver(node),
    )


def _resolver(node: NodeSettings) -> tuple[Step, ...]:
    if node.resolv_conf != OWN_RESOLV_CONF:
        return ()
    lines = "".join(f"nameserver {address}\n" for address in node.nameservers)
    step = basic.EnsureFile(
        id="kubelet/resolv-conf",
        title="Write the resolver that pods get, since this machine's is a loopback address",
        on=node.name,
        path=OWN_RESOLV_CONF,
        data=lines.encode(),
    )
    return (step,)


def after_trees(steps: Iterable[Step]) -> tuple[Step, ...]:
    """On a machine nothing is done before the directories that reset will empty are in the journal."""
    return tuple(
        step
        if step.on == CLUSTER or step.id.startswith("trees/")
        else dataclasses.replace(step, after=step.after | {"trees/"})
        for step in steps
    )
