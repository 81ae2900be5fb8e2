"""Is this machine fit? Every check runs, every finding is told once, nothing is changed."""

from kubeboot.steps.preflight import (
    balancing,
    external_etcd,
    joining,
    kernel,
    leftovers,
    machine,
    network,
    ranges,
    runtime,
    storage,
    swap,
)
from kubeboot.steps.preflight.model import Finding, Scene, Surroundings, examine, refuse

CHECKS = (
    *machine.CHECKS, *kernel.CHECKS, *swap.CHECKS, *storage.CHECKS, *network.CHECKS, *ranges.CHECKS,
    *runtime.CHECKS, *leftovers.CHECKS, *joining.CHECKS, *external_etcd.CHECKS, *balancing.CHECKS,
)  # fmt: skip

__all__ = ["CHECKS", "Finding", "Scene", "Surroundings", "examine", "refuse"]
