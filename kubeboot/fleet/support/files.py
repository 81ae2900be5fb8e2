"""The machine's files and logs in a support file: without secrets, or only listed."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator

import yaml

from kubeboot import log, render
from kubeboot.engine import journal
from kubeboot.fleet import status
from kubeboot.fleet.support import redact
from kubeboot.fleet.support.scene import Part, Scene
from kubeboot.host.api import HostView

_BYTES = 1 << 20
"""How much of a text is packed, from its end."""
_LOGS = 10
"""How many of kubeboot's own logs are packed."""
_YAML = ("/etc/kubernetes/manifests", redact.CONFIG_DIRECTORY)
_YAML_FILES = ("/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml")
_TOML_FILES = ("/etc/containerd/config.toml",)
_TEXT_FILES = (
    journal.PATH,
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/kubernetes/haproxy/haproxy.cfg",
    "/etc/kubernetes/keepalived/keepalived.conf",
    "/var/lib/kubelet/kubeadm-flags.env",
)
_LISTED = ("/etc/kubernetes", "/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd", "/var/lib/kubelet/pki")
_POD_LOGS = "/var/log/pods"
_OURS = tuple(f"{namespace}_" for namespace in status.NAMESPACES)


def yaml_files(scene: Scene) -> Iterator[Part]:
    """Read and written again, less what is secret; what cannot be read so is not packed at all."""
    inside = (f"{where}/{name}" for where in _YAML for name in scene.see.listdir(where))
    for path in (*inside, *_YAML_FILES):
        data = scene.see.read(path)
        if data is not None:
            yield f"files{path}", _plain(path, data)


def _plain(path: str, data: bytes) -> str:
    try:
        if path.endswith(".toml"):
            return render.dump(redact.structured(tomllib.loads(data.decode())))
        found = render.load_all(data)
    except (yaml.YAMLError, ValueError):
        return "(left out: it cannot be read, so nothing can be taken out of it)\n"
    return render.dump_all([doc for doc in map(redact.structured, found) if isinstance(doc, dict)])


def toml_files(scene: Scene) -> Iterator[Part]:
    """As YAML, less what is secret."""
    for path in _TOML_FILES:
        data = scene.see.read(path)
        if data is not None:
            yield f"files{path}.yaml", _plain(path, data)


def text_files(scene: Scene) -> Iterator[Part]:
    """As they are: what the cleaner knows as secret is taken out of every part."""
    yield from _tails(scene.see, _TEXT_FILES, "files")


def own_logs(scene: Scene) -> Iterator[Part]:
    """kubeboot's newest logs."""
    where = str(log.directory(os.environ, os.geteuid()))
    newest = sorted(name for name in scene.see.listdir(where) if name.endswith(".log"))[-_LOGS:]
    for name in newest:
        yield from _tails(scene.see, (f"{where}/{name}",), "files")


def pod_logs(scene: Scene) -> Iterator[Part]:
    """Those of the cluster's own pods."""
    see = scene.see
    for pod in see.listdir(_POD_LOGS):
        if pod.startswith(_OURS):
            for container in see.listdir(f"{_POD_LOGS}/{pod}"):
                where = f"{_POD_LOGS}/{pod}/{container}"
                found = (f"{where}/{name}" for name in see.listdir(where) if name.endswith(".log"))
                yield from _tails(see, found, "files")


def _tails(see: HostView, paths: Iterable[str], under: str) -> Iterator[Part]:
    for path in paths:
        data = see.read(path)
        if data is not None:
            yield f"{under}{path}", data[-_BYTES:].decode(errors="replace")


def listing(scene: Scene) -> Iterator[Part]:
    """Names, modes and owners of what is never packed itself."""
    see = scene.see
    rows = [f"{path} {see.stat(path)}" for where in _LISTED for path in _below(see, where)]
    yield "files/listing.txt", "\n".join(rows) + "\n"


def _below(see: HostView, where: str) -> Iterator[str]:
    return (f"{where}/{name}" for name in see.listdir(where))
