"""What goes into a support file: a table of sources, each of which tells one thing about the machine."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Iterator
from typing import Any

import kubeboot
from kubeboot.config import versions
from kubeboot.fleet import status
from kubeboot.fleet.support.files import listing, own_logs, pod_logs, text_files, toml_files, yaml_files
from kubeboot.fleet.support.scene import Part, Scene

UNITS = ("containerd.service", "kubelet.service", "kubeboot-backends.service", "kubeboot-backends.timer")
_LINES = 2000
"""How much of a unit's journal is packed."""
_EVENT = ("lastTimestamp", "eventTime", "type", "reason", "message", "count", "involvedObject", "source")


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


def _cluster(scene: Scene) -> Iterator[Part]:
    found = status.look(scene.see, scene.api, scene.at)
    yield "cluster/status.json", _json(dataclasses.asdict(found))


def _events(scene: Scene) -> Iterator[Part]:
    if scene.api.ready() is None:
        found = [event for space in status.NAMESPACES for event in scene.api.list("v1", "Event", space)]
        rows = ({key: event.get(key) for key in _EVENT} for event in found)
        yield "cluster/events.json", _json(list(rows))


SOURCES: tuple[Callable[[Scene], Iterator[Part]], ...] = (
    _versions,
    _facts,
    _units,
    _network,
    _mounts,
    _processes,
    _containers,
    _images,
    yaml_files,
    toml_files,
    text_files,
    own_logs,
    pod_logs,
    listing,
    _cluster,
    _events,
)
"""What is in the file: one that fails takes nothing from the others."""


def _json(data: Any) -> str:  # noqa: ANN401 - plain data of any shape
    return json.dumps(data, indent=1, default=str) + "\n"
