"""Executables from the upstreams' releases, checked against the sums that they publish."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from kubeboot import errors
from lablib import lock

PROBE_SECONDS = 3.0
STALL_SECONDS = 60.0


class Releases:
    """The release sites of one run: one that did not answer is not asked again."""

    def __init__(self) -> None:
        self._silent: set[str] = set()

    def fetch(self, upstream: lock.Upstream, name: str, arch: str, target: Path) -> bool:
        """Put one executable at `target`; False if the site cannot be reached. A wrong sum is an error."""
        words = {"arch": arch, "name": name, "plugin": name.removeprefix("cni-")}
        url = upstream.url.format(**words)
        sums = upstream.sums.format(url=url, **words)
        site = urlsplit(url).netloc
        if site in self._silent:
            return False
        try:
            wanted = published_sum(_get(sums).decode(), Path(urlsplit(url).path).name)
            with tempfile.TemporaryFile(dir=target.parent) as file:
                _download(url, wanted, file)
                _take(file, upstream.member.format(**words), target)
        except OSError:
            self._silent.add(site)
            return False
        return True


def published_sum(text: str, file: str) -> str:
    """A file's sum out of a sums file: lines of sum and name, or one sum alone."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if len(words) == 2 and Path(words[1].lstrip("*")).name == file:
            return words[0]
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0]
    raise errors.ConfigInvalid(f"the upstream publishes no sum of {file}", reason="KB_ARTIFACT")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as reply:  # noqa: S310 - from the lock
        body: bytes = reply.read(1 << 20)
    return body


def _download(url: str, wanted: str, file: IO[bytes]) -> None:
    sum_ = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=STALL_SECONDS) as reply:  # noqa: S310 - from the lock
        while chunk := reply.read(1 << 20):
            sum_.update(chunk)
            file.write(chunk)
    if sum_.hexdigest() != wanted:
        raise errors.ConfigInvalid(f"{url} does not match its published sum", reason="KB_ARTIFACT")
    file.seek(0)


def _take(file: IO[bytes], member: str, target: Path) -> None:
    if not member:
        target.write_bytes(file.read())
        return
    with tarfile.open(fileobj=file) as tar:
        found = next((each for each in tar if each.name == member and each.isreg()), None)
        inside = tar.extractfile(found) if found else None
        if inside is None:
            raise errors.ConfigInvalid(f"the release has no file {member}", reason="KB_ARTIFACT")
        with inside, target.open("wb") as output:
            shutil.copyfileobj(inside, output)
