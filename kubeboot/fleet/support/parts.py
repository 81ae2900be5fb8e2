"""What goes into a support file: a table of sources, each of which tells one thing about the machine."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml

import kubeboot
from kubeboot import log, render
from kubeboot.config import versions
from kubeboot.engine import journal
from kubeboot.fleet import status
from kubeboot.fleet.support import redact
from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiView

UNITS = ("containerd.service", "kubelet.service", "kubeboot-backends.service", "kubeboot-backends.timer")
_LINES = 2000
_BYTES = 1 << 20
"""Of a log, the end counts."""
_LOGS = 10
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


@dataclasses.dataclass(frozen=True)
class Scene:
    """What the sources may ask."""

    see: HostView
    api: ApiView
    at: datetime.datetime


Part = tuple[str, str]
"""A name in the file, and its text."""


def _versions(scene: Scene) -> Iterator[Part]:
    data = {
        "kubeboot": kubeboot.__version__,
        "python": platform.python_version(),
        "kubernetes": versions.supported(),
        "at": scene.at.isoformat(timespec="seconds"),
    }
    yield "versions.json", _json(data)


def _facts(scene: Scene) -> Iterator[Part]:
    facts = dataclasses.asdict(scene.see.facts())
    yield "machine/facts.json", _json({**facts, "commands": sorted(facts["commands"])})


def _units(scene: Scene) -> Iterator[Part]:
    """States and last words. The environment is named, not told: proxies' passwords are in it."""
    for name in UNITS:
        unit = dataclasses.asdict(scene.see.unit(name))
        yield f"units/{name}.json", _json({**unit, "environment": sorted(unit["environment"])})
        if unit["loaded"]:
            yield f"units/{name}.log", scene.see.journal_tail(name, _LINES)


def _network(scene: Scene) -> Iterator[Part]:
    yield "machine/links.json", _json([dataclasses.asdict(found) for found in scene.see.links()])
    yield "machine/listeners.json", _json([dataclasses.asdict(found) for found in scene.see.listeners()])
    yield "machine/nft-tables.json", _json(scene.see.nft_tables())


def _mounts(scene: Scene) -> Iterator[Part]:
    yield "machine/mounts.json", _json([dataclasses.asdict(found) for found in scene.see.mounts()])


def _processes(scene: Scene) -> Iterator[Part]:
    """By name: what they were called with is not told."""
    rows = ({"pid": p.pid, "name": p.name, "cgroup": p.cgroup} for p in scene.see.processes())
    yield "machine/processes.json", _json(list(rows))


def _containers(scene: Scene) -> Iterator[Part]:
    rows = (dataclasses.asdict(found) for found in scene.see.containers())
    yield "runtime/containers.json", _json([{**row, "labels": None} for row in rows])


def _images(scene: Scene) -> Iterator[Part]:
    yield "runtime/images.json", _json([dataclasses.asdict(found) for found in scene.see.images()])


def _yaml_files(scene: Scene) -> Iterator[Part]:
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


def _toml_files(scene: Scene) -> Iterator[Part]:
    for path in _TOML_FILES:
        data = scene.see.read(path)
        if data is not None:
            yield f"files{path}.yaml", _plain(path, data)


def _text_files(scene: Scene) -> Iterator[Part]:
    yield from _tails(scene.see, _TEXT_FILES, "files")


def _own_logs(scene: Scene) -> Iterator[Part]:
    where = str(log.directory(os.environ, os.geteuid()))
    newest = sorted(name for name in scene.see.listdir(where) if name.endswith(".log"))[-_LOGS:]
    for name in newest:
        yield from _tails(scene.see, (f"{where}/{name}",), "files")


def _pod_logs(scene: Scene) -> Iterator[Part]:
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


def _listing(scene: Scene) -> Iterator[Part]:
    """Names, modes and owners of what is never packed itself."""
    see = scene.see
    rows = [f"{path} {see.stat(path)}" for where in _LISTED for path in _below(see, where)]
    yield "files/listing.txt", "\n".join(rows) + "\n"


def _below(see: HostView, where: str) -> Iterator[str]:
    return (f"{where}/{name}" for name in see.listdir(where))


def _cluster(scene: Scene) -> Iterator[Part]:
    found = status.look(scene.see, scene.api, scene.at)
    yield "cluster/status.json", _json(dataclasses.asdict(found))


def _events(scene: Scene) -> Iterator[Part]:
    if scene.api.ready() is None:
        found = [event for space in status.NAMESPACES for event in scene.api.list("v1", "Event", space)]
        rows = ({key: event.get(key) for key in _EVENT} for event in found)
        yield "cluster/events.json", _json(list(rows))


_EVENT = ("lastTimestamp", "eventTime", "type", "reason", "message", "count", "involvedObject", "source")

SOURCES: tuple[Callable[[Scene], Iterator[Part]], ...] = (
    _versions,
    _facts,
    _units,
    _network,
    _mounts,
    _processes,
    _containers,
    _images,
    _yaml_files,
    _toml_files,
    _text_files,
    _own_logs,
    _pod_logs,
    _listing,
    _cluster,
    _events,
)
"""What is in the file: one that fails takes nothing from the others."""


def _json(data: Any) -> str:  # noqa: ANN401 - plain data of any shape
    return json.dumps(data, indent=1, default=str) + "\n"
