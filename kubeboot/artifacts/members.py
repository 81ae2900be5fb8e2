"""A bundle's file: its members by their offsets, each checked by its sum when it is read."""

from __future__ import annotations

import functools
import hashlib
import json
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from kubeboot import errors
from kubeboot.artifacts import oci
from kubeboot.artifacts.api import CHUNK

LARGEST_DOCUMENT = 8 << 20


class Members:
    """Every method may raise ConfigInvalid (KB_ARTIFACT)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def identity(self) -> str:
        """Path, size and time of the file."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise self.refused(f"cannot be read: {error.strerror}") from None
        return f"{self.path.absolute()}:{found.st_size}:{found.st_mtime_ns}"

    def open(self) -> IO[bytes]:
        """A pipe is not opened: that might wait for ever."""
        try:
            if stat.S_ISREG(self.path.stat().st_mode):
                return self.path.open("rb")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise self.refused(f"cannot be read: {why}") from None
        raise self.refused("is not a plain file")

    @functools.cached_property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """Offset and size of each member, from the headers alone."""
        try:
            with self.open() as file, tarfile.open(fileobj=file, mode="r:") as tar:
                return _unique((each.name, (each.offset_data, each.size)) for each in tar if each.isreg())
        except (tarfile.TarError, ValueError, OSError) as error:
            raise self.refused(f"is not a bundle: {error}") from None

    def place(self, name: str) -> tuple[int, int]:
        """Offset and size of one member."""
        if name not in self.places:
            raise self.refused(f"{name} is missing")
        return self.places[name]

    def document(self, file: IO[bytes], name: str) -> bytes:
        """A member that is read as a whole; nothing is checked but its size."""
        offset, size = self.place(name)
        if size > LARGEST_DOCUMENT:
            raise self.refused(f"{name} is too large")
        file.seek(offset)
        return file.read(size)

    def blob(self, file: IO[bytes], digest: str) -> Iterator[bytes]:
        """The blob in chunks, one held back: the last is given only after the sum is right."""
        offset, left = self.place(oci.blob_name(digest))
        file.seek(offset)
        sum_, held = hashlib.sha256(), b""
        while left and (chunk := file.read(min(CHUNK, left))):
            if held:
                yield held
            sum_.update(chunk)
            held, left = chunk, left - len(chunk)
        if left or f"sha256:{sum_.hexdigest()}" != digest:
            raise self.refused(f"{oci.blob_name(digest)} is damaged")
        yield held

    def parse(self, name: str, data: bytes) -> Mapping[str, Any]:
        """A member that is a JSON object."""
        try:
            body = json.loads(data)
        except ValueError as error:
            raise self.refused(f"{name}: {error}") from None
        if not isinstance(body, dict):
            raise self.refused(f"{name} is not an object")
        return body

    def verify(self, file: IO[bytes], name: str) -> None:
        """Read the next member, header and padding included: it is `name`, as kubeboot writes it."""
        size = self.place(name)[1]
        if file.read(oci.BLOCK) != oci.header(name, size):
            raise self.refused(f"the header of {name} is damaged")
        if name == oci.LAYOUT_NAME and file.read(size) != oci.LAYOUT:
            raise self.refused(f"{name} is damaged")
        if name in (oci.INDEX_NAME, oci.SUM_NAME):
            file.seek(size, 1)  # checked against each other when the index was opened
        if name.startswith("blobs/"):
            for _ in self.blob(file, name.removeprefix("blobs/").replace("/", ":")):
                pass
        if file.read(-size % oci.BLOCK) != oci.padding(size):
            raise self.refused(f"the padding after {name} is damaged")

    def refused(self, why: str) -> errors.ConfigInvalid:
        """What is wrong with the file."""
        hint = "copy or build the bundle again; `artifacts` in the configuration says where it is expected"
        return errors.ConfigInvalid(f"bundle {self.path}: {why}", hint=hint, reason="KB_ARTIFACT")


def _unique(pairs: Iterator[tuple[str, tuple[int, int]]]) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, place in pairs:
        if name in found:
            raise ValueError(f"{name} is listed twice")
        found[name] = place
    return found
