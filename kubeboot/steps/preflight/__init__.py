"""Is this machine fit? Every check runs, every finding is told once, nothing is changed."""

from kubeboot.steps.preflight import (
    balancing,
    external_etcd,
    identity,
    installers,
    joining,
    kernel,
    leftovers,
    machine,
    mounts,
    network,
    packets,
    proxies,
    ranges,
    resolvers,
    runtime,
    storage,
    swap,
    sysctls,
)
from kubeboot.steps.preflight.joining import BESIDE
from kubeboot.steps.preflight.model import Finding, Scene, Surroundings, examine, refuse

CHECKS = (
    *machine.CHECKS, *identity.CHECKS, *kernel.CHECKS, *sysctls.CHECKS, *swap.CHECKS, *storage.CHECKS,
    *mounts.CHECKS, *network.CHECKS, *packets.CHECKS, *resolvers.CHECKS, *proxies.CHECKS, *ranges.CHECKS,
    *runtime.CHECKS, *installers.CHECKS, *leftovers.CHECKS, *joining.CHECKS, *external_etcd.CHECKS,
    *balancing.CHECKS,
)  # fmt: skip

__all__ = ["BESIDE", "CHECKS", "Finding", "Scene", "Surroundings", "examine", "refuse"]
