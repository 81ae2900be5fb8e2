"""The last words of static pods and of the kubelet, for a wait that ended without its condition."""

from __future__ import annotations

from collections.abc import Sequence

from kubeboot.host.api import HostView

_LOGS = "/var/log/pods"
_LINES = 8


def explain(host: HostView, node: str, components: Sequence[str]) -> str:
    """What each component logged last, under its name, and the kubelet's journal when one has no log."""
    found = [(name, tail(host, node, name)) for name in components]
    parts = [f"{name}:\n{text}" for name, text in found if text]
    if len(parts) < len(found):
        parts.append(f"kubelet:\n{host.journal_tail('kubelet.service', _LINES)}")
    return "\n".join(parts)


def tail(host: HostView, node: str, component: str, lines: int = _LINES) -> str:
    """The end of a static pod's newest log file, without the runtime's prefix; empty when there is none."""
    prefix = f"kube-system_{component}-{node}_"
    pods = [name for name in host.listdir(_LOGS) if name.startswith(prefix)]
    files = [
        f"{_LOGS}/{pod}/{component}/{log}"
        for pod in pods
        for log in host.listdir(f"{_LOGS}/{pod}/{component}")
    ]
    texts = [data for path in sorted(files, key=_age) if (data := host.read(path))]
    if not texts:
        return ""
    return "\n".join(map(_words, texts[-1].decode(errors="replace").splitlines()[-lines:]))


def _age(path: str) -> tuple[str, int]:
    """0.log is the first start, 1.log the second."""
    directory, _, name = path.rpartition("/")
    number = name.partition(".")[0]
    return directory, int(number) if number.isdigit() else -1


def _words(line: str) -> str:
    """`2026-11-20T21:43:01.1Z stderr F words` → `words`."""
    return line.split(" ", 3)[-1]
