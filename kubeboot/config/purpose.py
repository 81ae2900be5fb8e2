"""What a configuration is read for: which of kubeadm's documents count, and whose cluster it is."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Purpose:
    """How a command reads its configuration.

    `unwanted` are kinds of kubeadm's that are for other commands: warned of, not read.
    `joins`: the cluster is there already, and its ranges of addresses are not known here.
    `read_files`: the files that the description names are read into it.
    """

    unwanted: frozenset[str] = frozenset()
    joins: bool = False
    read_files: bool = True


LOOK = Purpose()
"""For commands that look at a cluster, at a machine, or at the configuration itself."""
PRINT = Purpose(read_files=False)
"""To be printed as it was given."""
MAKE = Purpose(unwanted=frozenset({"JoinConfiguration"}))
"""To make a cluster: `init` and `up`."""
JOIN = Purpose(unwanted=frozenset({"InitConfiguration"}), joins=True)
"""To join one."""
ETCD = Purpose(unwanted=frozenset({"InitConfiguration", "JoinConfiguration"}), joins=True)
"""To make a machine of etcd's own, which has no addresses in the cluster's ranges."""
