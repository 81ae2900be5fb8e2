"""What commands ask of etcd. Imports stay inside, as in cli/actions.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeboot.engine.events import Emit
from kubeboot.fleet import orders_etcd

if TYPE_CHECKING:
    from kubeboot.fleet.etcd.status import EtcdStatus


def status() -> EtcdStatus:
    """etcd's members, each asked for itself."""
    from kubeboot.fleet.etcd import status as looking

    return looking.status()


def snapshot_save(options: orders_etcd.EtcdSnapshotSaveOptions, emit: Emit) -> orders_etcd.EtcdSnapshot:
    """Write a snapshot."""
    from kubeboot.fleet.etcd import snapshot as etcd_snapshot

    return etcd_snapshot.save(options, emit)


def snapshot_status(path: str) -> orders_etcd.EtcdSnapshot:
    """Look into a snapshot."""
    from kubeboot.fleet.etcd import snapshot as etcd_snapshot

    return etcd_snapshot.status(path)


def restore(options: orders_etcd.EtcdRestoreOptions, emit: Emit) -> orders_etcd.EtcdRepairResult:
    """Take the cluster back to a snapshot."""
    from kubeboot.fleet.etcd import restore as running

    return running.restore(options, emit)


def recover(options: orders_etcd.EtcdRecoverOptions, emit: Emit) -> orders_etcd.EtcdRepairResult:
    """Go on with this machine alone."""
    from kubeboot.fleet.etcd import recover as running

    return running.recover(options, emit)


def machine(options: orders_etcd.EtcdMachineOptions, emit: Emit) -> orders_etcd.EtcdMachineResult:
    """Make this machine a member of etcd and nothing else."""
    from kubeboot.fleet.etcd import machine as running

    return running.run(options, emit)


def export(options: orders_etcd.EtcdExportOptions) -> bytes:
    """The file by which control planes get into etcd, or one more machine becomes a member."""
    from kubeboot.config import etcd_access
    from kubeboot.fleet.etcd import machine as etcd_machine
    from kubeboot.host.local import LocalView

    return etcd_access.encode(etcd_machine.export(LocalView(), to_members=options.to_members))


def remove(options: orders_etcd.EtcdRemoveOptions, emit: Emit) -> orders_etcd.EtcdMachineResult:
    """etcd forgets a member whose machine is gone."""
    from kubeboot.fleet.etcd import machine as running

    return running.remove(options, emit)
