"""The lab's lock (lab.lock.yaml) as typed values."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lablib import cache

HERE = Path(__file__).parent.parent
COMPONENTS = HERE / "components"

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass(frozen=True)
class Upstream:
    """A release: the file's URL, the URL of its published sums, the member if the file is an archive."""

    url: str
    sums: str
    member: str = ""


@dataclasses.dataclass(frozen=True)
class Module:
    """Executables of one Go module: package by name. `static_c`: with C code, linked statically."""

    version: str
    packages: Mapping[str, str]
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    static_c: bool = False
    upstream: Upstream | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """An executable from one C file."""

    version: str
    file: str


@dataclasses.dataclass(frozen=True)
class Executable:
    """One executable and how it is made; `key` changes with anything that it is made from."""

    name: str
    version: str
    key: str
    recipe: GoRecipe | Source


@dataclasses.dataclass(frozen=True)
class GoRecipe:
    """One package of a Go module, built in the directory of its go.mod with exactly this toolchain."""

    directory: Path
    package: str
    module: Module
    toolchain: str


@dataclasses.dataclass(frozen=True)
class Debian:
    """Packages to unpack, and of which suites."""

    suites: tuple[str, ...]
    security: str
    packages: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Layer:
    """Files of one image layer; the lock file says what each field means."""

    below: str = ""
    binaries: Mapping[str, str] = dataclasses.field(default_factory=dict)
    debian: tuple[str, ...] = ()
    concat: Mapping[str, str] = dataclasses.field(default_factory=dict)
    directories: Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: Mapping[str, str] = dataclasses.field(default_factory=dict)
    text: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scripts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    owners: Mapping[str, str] = dataclasses.field(default_factory=dict)
    capabilities: Mapping[str, str] = dataclasses.field(default_factory=dict)
    applets: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Image:
    """An image: the layer of its component's name on top, and how it is run."""

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    path: str = ""
    stop_signal: str = ""
    ports: tuple[str, ...] = ()
    package: str = ""


@dataclasses.dataclass(frozen=True)
class Lock:
    """Everything that the bundle is made of. `data` is the file's content, for cache keys."""

    kubernetes: str
    arch: str
    executables: Mapping[str, Executable]
    debian: Debian
    binaries: Mapping[str, str]
    layers: Mapping[str, Layer]
    images: Mapping[str, Image]
    data: Mapping[str, Any]

    def chain(self, layer: str) -> tuple[str, ...]:
        """The layers of an image whose top layer this is, lowest first."""
        below = self.layers[layer].below
        return (*(self.chain(below) if below else ()), layer)


def load(path: Path = HERE / "lab.lock.yaml", arch: str = "") -> Lock:
    """Read a lock for an architecture in Go's words (default: this machine's)."""
    arch = arch or _ARCHES.get(platform.machine(), platform.machine())
    data = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return Lock(
        kubernetes=data["kubernetes"],
        arch=arch,
        executables={each.name: each for each in (*_go(data, arch), *_c(data, arch))},
        debian=_made(Debian, data["debian"]),
        binaries=data["binaries"],
        layers={name: _made(Layer, fields) for name, fields in data["layers"].items()},
        images={name: _made(Image, fields) for name, fields in data["images"].items()},
        data=data,
    )


def _go(data: Mapping[str, Any], arch: str) -> list[Executable]:
    found = []
    for directory, fields in data["modules"].items():
        module = _made(Module, fields)
        home = COMPONENTS / directory
        made_from = (arch, data["toolchain"], module.version, module.variables, module.tags, module.static_c)
        for name, package in module.packages.items():
            key = cache.key_of(*made_from, package, home / "go.mod", home / "go.sum")
            recipe = GoRecipe(home, package, module, data["toolchain"])
            found.append(Executable(name, module.version, key, recipe))
    return found


def _c(data: Mapping[str, Any], arch: str) -> list[Executable]:
    found = []
    for name, fields in data["sources"].items():
        source = _made(Source, fields)
        key = cache.key_of(arch, source.version, HERE / source.file)
        found.append(Executable(name, source.version, key, source))
    return found


def _made(kind: type[Any], fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - callers know the kind
    """A dataclass from YAML: lists become tuples; a field that it does not know is a TypeError."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    if "upstream" in fields:
        values["upstream"] = Upstream(**fields["upstream"])
    return kind(**values)
