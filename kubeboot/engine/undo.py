"""What takes a change back: a closed set of data, journalled before the change is made."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args


@dataclasses.dataclass(frozen=True)
class RemovePath:
    """The file or link did not exist; its directory is left."""

    path: str


@dataclasses.dataclass(frozen=True)
class RestoreFile:
    """The file was there with these bytes, kept beside the journal under their sha256."""

    path: str
    sha256: str
    mode: int
    owner: str


@dataclasses.dataclass(frozen=True)
class RestoreLink:
    """The path was a symbolic link."""

    path: str
    target: str


@dataclasses.dataclass(frozen=True)
class RestoreMode:
    """Only mode and owner were changed; what is in the path is another subject."""

    path: str
    mode: int
    owner: str


@dataclasses.dataclass(frozen=True)
class RemoveTree:
    """The directory did not exist: it and everything below it (never across a mount) goes."""

    path: str


@dataclasses.dataclass(frozen=True)
class EmptyTree:
    """The directory was there and empty (often a mount of its own): what is below it goes, it stays."""

    path: str


@dataclasses.dataclass(frozen=True)
class RemoveDir:
    """The directory did not exist: it goes, unless someone else's files are in it."""

    path: str


@dataclasses.dataclass(frozen=True)
class RestoreUnit:
    """The unit was running, or enabled, or neither."""

    unit: str
    active: bool
    enabled: bool


@dataclasses.dataclass(frozen=True)
class RestoreSysctl:
    key: str
    value: str


@dataclasses.dataclass(frozen=True)
class RemoveImage:
    name: str


@dataclasses.dataclass(frozen=True)
class DeleteObject:
    """An API object that a run on this machine created and that goes with the machine (a Node, a CSR)."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None


Undo = (
    RemovePath
    | RestoreFile
    | RestoreLink
    | RestoreMode
    | RemoveTree
    | EmptyTree
    | RemoveDir
    | RestoreUnit
    | RestoreSysctl
    | RemoveImage
    | DeleteObject
)

_KINDS: dict[str, type[Undo]] = {kind.__name__: kind for kind in get_args(Undo)}


def subject(undo: Undo) -> str:
    """What an undo is about; of several about one subject the oldest wins."""
    match undo:
        case RestoreMode(path):
            return f"mode:{path}"
        case RemovePath() | RestoreFile() | RestoreLink():
            return f"path:{undo.path}"
        case RemoveTree() | EmptyTree() | RemoveDir():
            return f"path:{undo.path}"
        case RestoreUnit(unit):
            return f"unit:{unit}"
        case RestoreSysctl(key):
            return f"sysctl:{key}"
        case RemoveImage(name):
            return f"image:{name}"
        case DeleteObject():
            return f"object:{undo.api_version}/{undo.kind}/{undo.namespace or ''}/{undo.name}"


def encode(undo: Undo) -> dict[str, Any]:
    """As a JSON object, tagged with its kind."""
    return {"undo": type(undo).__name__, **dataclasses.asdict(undo)}


def decode(data: dict[str, Any]) -> Undo:
    """The inverse of `encode`; ValueError for a kind that this version does not know."""
    fields = dict(data)
    kind = _KINDS.get(str(fields.pop("undo", "")))
    if kind is None:
        raise ValueError(f"unknown undo {data.get('undo')!r}")
    return kind(**fields)
