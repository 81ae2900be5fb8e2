"""The table of known causes: what a line of a log means, and what fixes it."""

from __future__ import annotations

from kubeboot.engine.cause import Cause
from kubeboot.engine.causes_cluster import CLUSTER
from kubeboot.engine.causes_machine import MACHINE
from kubeboot.engine.causes_nodes import NODES

CAUSES: tuple[Cause, ...] = (*MACHINE, *CLUSTER, *NODES)
"""The more telling ones first; of a line, the first that fits."""
