"""Everything that a machine can say of what happened on it, collected into a directory."""

from __future__ import annotations

import io
import shutil
import tarfile
from concurrent import futures
from pathlib import Path

from lablib import machine_vagrant
from lablib.machine_host import say
from lablib.machine_state import Lab

REPORTS = {
    "journal.log": "journalctl --boot --no-pager --output=short-precise",
    "kubelet.log": "journalctl --boot --no-pager --output=short-precise --unit=kubelet",
    "containerd.log": "journalctl --boot --no-pager --output=short-precise --unit=containerd",
    "units.txt": "systemctl --no-pager list-units --all",
    "processes.txt": "ps axf -o pid,ppid,user,lstart,rss,args",
    "network.txt": "ip address; ip route show table all; ss -ltnup",
    "nftables.txt": "nft list ruleset",
    "mounts.txt": "cat /proc/mounts",
    "containers.txt": "ctr -n k8s.io containers ls; ctr -n k8s.io tasks ls; ctr -n k8s.io images ls",
}
TREES = (
    "/var/log/pods",
    "/var/log/kubeboot",
    "/etc/kubernetes/manifests",
    "/var/lib/kubelet/config.yaml",
    "/etc/containerd/config.toml",
    "/etc/cni/net.d",
)
"""No keys and no kubeconfigs: logs are handed around."""


def script() -> str:
    """One shell script that writes a tar archive with all reports and trees to its standard output."""
    lines = ["set -u", "work=$(mktemp -d)", "trap 'rm -rf \"$work\"' EXIT", "exec 3>&1"]
    lines += [f'{{ {command}; }} >"$work/{name}" 2>&1' for name, command in REPORTS.items()]
    lines += [
        "set --",
        f"for tree in {' '.join(TREES)}; do",
        '  [ -e "$tree" ] && set -- "$@" "$tree"',
        "done",
    ]
    lines += ['tar -ch --warning=no-file-changed -C "$work" . "$@" >&3 2>/dev/null', "true"]
    return "\n".join(lines)


def collect(lab: Lab, directory: Path) -> Path:
    """Ask all machines at once; a directory for each. One that does not answer does not spoil the rest."""
    directory.mkdir(parents=True, exist_ok=True)
    with futures.ThreadPoolExecutor() as pool:
        asked = {m.name: pool.submit(_collect_one, lab, m.name, directory / m.name) for m in lab.machines}
    for name, future in asked.items():
        if error := future.exception():
            say(f"{name}: {error}")
    for name in ("vagrant.log", "serial.log"):
        if (log := lab.directory / name).exists():
            shutil.copy(log, directory)
    return directory.absolute()


def _collect_one(lab: Lab, name: str, into: Path) -> None:
    host = machine_vagrant.connect(lab, name)
    try:
        archive, complaints = io.BytesIO(), io.BytesIO()
        host.run(("sudo", "sh", "-c", script()), None, archive, complaints)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(into, filter="data")
    finally:
        host.close()
