"""The private keys of a cluster, looked for where none may be: processes' arguments, logs, journals, /tmp."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.e2e.harness import Lab, Machine, repeatedly

KEYS = """
for file in /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /var/lib/kubelet/pki/*.pem; do
  [ ! -e "$file" ] || sed -n '/PRIVATE KEY/,$p' "$file" | sed -n 2p
done
"""
LEFT = """
cat >/root/canaries
journalctl --no-pager --output cat >/root/journal
grep -rlaF -f /root/canaries /var/lib/kubeboot /var/log /tmp /var/tmp /run/kubeboot* /root/journal
rm /root/canaries /root/journal
"""


@contextlib.contextmanager
def watching() -> Iterator[set[bytes]]:
    """The arguments of all processes within the block, those of the lab's machines too."""
    seen: set[bytes] = set()

    def look() -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen.add(path.read_bytes())

    with repeatedly(look, 0.1):
        yield seen


def keys(lab: Lab) -> set[bytes]:
    """A line of each private key, and what base64 makes of it wherever it begins."""
    lines = {line for machine in lab.machines for line in machine.run("sh", "-c", KEYS).out.split()}
    return {form for line in lines for form in _forms(line.encode())}


def _forms(line: bytes) -> Iterator[bytes]:
    yield line
    for before in range(3):
        yield base64.b64encode(bytes(before) + line)[4:-4]


def left(machine: Machine, canaries: Collection[bytes]) -> list[str]:
    """The machine's files in which one is."""
    return machine.run("sh", "-c", LEFT, stdin=b"\n".join(canaries) + b"\n").out.split()


def within(folder: Path, canaries: Collection[bytes]) -> list[Path]:
    """This computer's files in which one is; another run may remove its own meanwhile."""
    found: list[Path] = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes() if path.is_file() else b""
            found += [path] if any(one in data for one in canaries) else []
    return found
