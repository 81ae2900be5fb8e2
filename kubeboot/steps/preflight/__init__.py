"""Is this machine fit? Every check runs, every finding is told once, nothing is changed."""

from kubeboot.steps.preflight import leftovers, machine, network
from kubeboot.steps.preflight.model import Finding, Scene, examine, refuse

CHECKS = (*machine.CHECKS, *network.CHECKS, *leftovers.CHECKS)

__all__ = ["CHECKS", "Finding", "Scene", "examine", "refuse"]
