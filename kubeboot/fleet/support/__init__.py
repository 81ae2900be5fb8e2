"""One file that tells someone else what a machine is like: logs, versions, states; no secrets.

Every part is gathered on its own: what cannot be asked is said in problems.txt, and the rest is packed.
"""

from __future__ import annotations

import dataclasses
import datetime
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.fleet.support import redact
from kubeboot.fleet.support.parts import SOURCES
from kubeboot.fleet.support.scene import Scene
from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiView


@dataclasses.dataclass(frozen=True)
class Packed:
    """Where the file is, what is in it, and what could not be had."""

    path: str
    parts: tuple[str, ...]
    problems: tuple[str, ...]


def pack(see: HostView, api: ApiView, at: datetime.datetime, to: str) -> Packed:
    """Write the file: readable by its owner only, and never over one that is there."""
    parts, problems = gather(see, api, at)
    if problems:
        parts["problems.txt"] = "\n".join(problems) + "\n"
    _write(to, f"kubeboot-support-{see.name}", parts, at)
    return Packed(to, tuple(sorted(parts)), tuple(problems))


def gather(see: HostView, api: ApiView, at: datetime.datetime) -> tuple[dict[str, str], list[str]]:
    """Every part by its name, without secrets, and what could not be asked."""
    cleaner, scene = redact.Cleaner(see), Scene(see, api, at)
    parts: dict[str, str] = {}
    problems: list[str] = []
    for source in SOURCES:
        try:
            for name, text in source(scene):
                parts[name] = cleaner.text(text)
        except (errors.KubebootError, OSError, ValueError) as error:
            what = source.__name__.strip("_").replace("_", " ")
            problems.append(cleaner.text(f"{what}: {error}"))
    return parts, problems


def name_for(host: str, at: datetime.datetime) -> str:
    """The file's name when none is given."""
    return f"kubeboot-support-{host}-{at:%Y-%m-%dT%H-%M-%S}.tar.gz"


def _write(to: str, root: str, parts: Mapping[str, str], at: datetime.datetime) -> None:
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise errors.UsageProblem(f"{to}: {why}", hint="name a new file with -o") from None
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in sorted(parts.items()):
                data = text.encode(errors="backslashreplace")
                entry = tarfile.TarInfo(f"{root}/{name}")
                entry.size, entry.mode, entry.mtime = len(data), 0o600, int(at.timestamp())
                archive.addfile(entry, io.BytesIO(data))
    except OSError as error:
        Path(to).unlink(missing_ok=True)
        why = f"{to}: {(error.strerror or '').lower()}"
        hint = "make room, or name a file elsewhere with -o: df -h"
        raise errors.KubebootError(why, hint=hint, reason="KB_OUTPUT") from None
