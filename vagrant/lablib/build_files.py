"""Which files of an unpacked Debian root a layer needs: those that it lists, links' targets, libraries."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kubeboot import errors
from lablib import tools

_LIBRARIES = ("usr/lib/{triplet}", "usr/lib")
_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


class Root:
    """An unpacked root; paths are absolute as they will be in the image, with /bin, /lib … in /usr."""

    def __init__(self, directory: Path, arch: str) -> None:
        self.directory = directory
        self._triplet = _TRIPLETS[arch]

    def real(self, path: str) -> Path:
        """Where a path of the image is on this machine, the last component not followed."""
        parent = self._canonical(os.path.dirname(path))  # noqa: PTH120 - text, not a file
        return self.directory / parent.lstrip("/") / os.path.basename(path)  # noqa: PTH119

    def matching(self, patterns: Iterable[str]) -> Iterator[str]:
        """The paths that match, sorted; a pattern that matches nothing is an error."""
        for pattern in patterns:
            found = sorted(glob.glob(f"{self.directory}{pattern}"))  # noqa: PTH207 - finds dangling links too
            if not found:
                raise errors.KubebootError(f"no Debian package has {pattern}")
            yield from (self._inside(Path(each)) for each in found)

    def closure(self, patterns: Iterable[str]) -> frozenset[str]:
        """Matching paths with everything that they link to or load."""
        found: set[str] = set()
        todo = list(self.matching(patterns))
        while todo:
            path = self._canonical_parent(todo.pop())
            if path not in found:
                found.add(path)
                todo.extend(self._needed_by(path))
        return frozenset(found)

    def _needed_by(self, path: str) -> list[str]:
        real = self.real(path)
        if real.is_symlink():
            return [os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(real)))]  # noqa: PTH115, PTH118, PTH120
        return self._libraries(real) if _is_dynamic(real) else []

    def _libraries(self, real: Path) -> list[str]:
        """As the root's own loader finds them."""
        loader = next(iter(self.directory.glob(f"usr/lib/{self._triplet}/ld-linux-*.so.*")))
        paths = ":".join(str(self.directory / each.format(triplet=self._triplet)) for each in _LIBRARIES)
        lines = tools.run([str(loader), "--library-path", paths, "--list", str(real)]).splitlines()
        places = [line.split(" => ")[1].split(" (")[0] for line in lines if " => " in line]
        return [self._inside(Path(each)) for each in places if each.startswith(str(self.directory))]

    def _inside(self, real: Path) -> str:
        return "/" + str(real.relative_to(self.directory))

    def _canonical_parent(self, path: str) -> str:
        return os.path.join(self._canonical(os.path.dirname(path)), os.path.basename(path))  # noqa: PTH118, PTH119, PTH120

    def _canonical(self, directory: str) -> str:
        first, _, rest = directory.lstrip("/").partition("/")
        link = self.directory / first
        if first and link.is_symlink():
            return os.path.normpath(f"/{os.readlink(link)}/{rest}")  # noqa: PTH115
        return "/" + directory.lstrip("/")


def _is_dynamic(real: Path) -> bool:
    """An ELF file that names a loader or is a library (a static one has no PT_DYNAMIC)."""
    with real.open("rb") as file:
        head = file.read(4096)
    if head[:4] != b"\x7fELF":
        return False
    start, size, count = (
        int.from_bytes(head[at : at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2))
    )
    kinds = (int.from_bytes(head[start + i * size : start + i * size + 4], "little") for i in range(count))
    return 2 in kinds
