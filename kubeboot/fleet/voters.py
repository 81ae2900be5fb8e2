"""How many members of etcd vote, said where it changes."""

from __future__ import annotations

from kubeboot.engine.events import Emit, Notice
from kubeboot.kube.etcd import EtcdView


def tell(etcd: EtcdView, emit: Emit, advice: str = "") -> int:
    """The number of voters; an even one bears no more than the odd one below it, and that is said."""
    count = sum(not member.learner for member in etcd.members())
    if count % 2 == 0:
        bears = (count - 1) // 2
        emit(Notice("warning", f"etcd has {count} members and can lose {bears}{advice}"))
    return count
