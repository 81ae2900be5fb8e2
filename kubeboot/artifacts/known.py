"""What is known of upstream's bytes: sums of files, digests of images. Shipped, or in the user's own lock."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kubeboot import errors, inputs, outputs, render
from kubeboot.artifacts.trouble import refused

FORMAT = 1
HEAD = """\
# Written by kubeboot: what upstream said these files and images are when they were first asked for.
# From then on anything else is refused. To accept a change on purpose, remove its entry.
"""
_HEX = re.compile(r"^[0-9a-f]{64}\Z")
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Some bytes by their sum (hex). `size` 0: not known. `members`: of the files inside that are used."""

    sha256: str
    size: int = 0
    members: Mapping[str, Entry] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        return f"sha256:{self.sha256}"

    def over(self, other: Entry) -> Entry:
        """Both together; ValueError when they are not the same bytes."""
        if self.sha256 != other.sha256 or (self.size and other.size and self.size != other.size):
            raise ValueError(f"sha256 {self.sha256} here, {other.sha256} there")
        return Entry(self.sha256, self.size or other.size, _merged(self.members, other.members))


@dataclasses.dataclass(frozen=True)
class Known:
    """Files by URL; images by name and architecture, by the digest of the platform's manifest."""

    files: Mapping[str, Entry] = dataclasses.field(default_factory=dict)
    images: Mapping[str, Mapping[str, Entry]] = dataclasses.field(default_factory=dict)

    def image(self, name: str, arch: str) -> Entry | None:
        return self.images.get(name, {}).get(arch)

    def over(self, other: Known) -> Known:
        """Both together; ConfigInvalid (KB_ARTIFACT) when they contradict each other."""
        try:
            names = {**self.images, **other.images}
            images = {
                name: _merged(self.images.get(name, {}), other.images.get(name, {}), name) for name in names
            }
            return Known(_merged(self.files, other.files), images)
        except ValueError as error:
            raise refused(
                f"two locks contradict each other: {error}",
                "one of them is wrong: compare with upstream before you remove an entry",
            ) from None


def _merged(one: Mapping[str, Entry], other: Mapping[str, Entry], name: str = "") -> dict[str, Entry]:
    together = {**other, **one}
    for key in one.keys() & other.keys():
        try:
            together[key] = one[key].over(other[key])
        except ValueError as error:
            raise ValueError(f"{' '.join(filter(None, (name, key)))}: {error}") from None
    return together


def parse(data: Mapping[str, Any]) -> Known:
    """From plain data; ValueError and the like for what is no lock."""
    images = {
        name: {arch: _entry(each, "digest") for arch, each in found.items()}
        for name, found in data.get("images", {}).items()
    }
    return Known({url: _entry(each, "sha256") for url, each in data.get("files", {}).items()}, images)


def _entry(data: Mapping[str, Any], key: str) -> Entry:
    sha256, size = data[key].removeprefix("sha256:"), data.get("size", 0)
    if not _HEX.match(sha256) or not isinstance(size, int) or size < 0:
        raise ValueError(f"{data} has no valid {key} and size")
    members = {name: _entry(each, "sha256") for name, each in data.get("members", {}).items()}
    return Entry(sha256, size, members)


def plain(known: Known) -> dict[str, Any]:
    """As plain data, in order."""
    images = {
        name: {arch: _plain(each, digest=True) for arch, each in sorted(found.items())}
        for name, found in sorted(known.images.items())
    }
    return {"files": {url: _plain(each) for url, each in sorted(known.files.items())}, "images": images}


def _plain(entry: Entry, *, digest: bool = False) -> dict[str, Any]:
    data: dict[str, Any] = {"digest": entry.digest} if digest else {"sha256": entry.sha256}
    data |= {"size": entry.size} if entry.size else {}
    members = {name: _plain(each) for name, each in sorted(entry.members.items())}
    return data | ({"members": members} if members else {})


_WRITE_ONE = "`kubeboot artifacts lock --lock FILE` writes one, `kubeboot artifacts pull` a directory with it"


@dataclasses.dataclass(frozen=True)
class UserLock:
    """The user's own lock: read whole, added to under a file lock, replaced at once."""

    path: Path

    def read(self) -> Known:
        """What is in it: nothing when it is not there. ConfigInvalid when it cannot be understood."""
        try:
            data = render.load_foreign(inputs.read(self.path, render.MAX_BYTES + 1))
        except FileNotFoundError:
            return Known()
        except OSError as error:
            raise refused(f"lock {self.path} cannot be read: {error.strerror}", _WRITE_ONE) from None
        except ValueError as error:
            raise self._invalid(str(error)) from None
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']} is of another version of kubeboot")
            return parse(data)
        except _UNREADABLE as error:
            raise self._invalid(str(error)) from None

    def add(self, known: Known) -> Known:
        """Everything that is in it afterwards; ConfigInvalid when what it holds contradicts."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.path.parent):
                before = self.read()
                together = before.over(known)
                if together != before:
                    write(self.path, together)
        except OSError as error:
            raise errors.ConfigInvalid(
                f"lock {self.path} cannot be written: {error.strerror}",
                hint="set artifacts.lockFile in the configuration to a place where it may be",
                reason="KB_ARTIFACT",
            ) from None
        return together

    def _invalid(self, why: str) -> errors.ConfigInvalid:
        return refused(f"lock {self.path} is not valid: {why}", "repair it, or remove it to start afresh")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """A lock on a directory: it leaves no file behind."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write(path: Path, known: Known) -> None:
    """A lock file, replaced at once."""
    text = HEAD + render.dump({"format": FORMAT, **plain(known)})
    with outputs.replacing(path) as file:
        file.write(text.encode())
