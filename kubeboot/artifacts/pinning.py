"""What upstream's files are, asked once: published sums, what tags mean, what is inside of archives."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from kubeboot.artifacts import archives, replies, resolve, together
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.manifests import Manifest
from kubeboot.artifacts.refusals import unavailable
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.releases import Release
from kubeboot.artifacts.stock import Depot, manifest
from kubeboot.artifacts.trouble import Failure
from kubeboot.artifacts.ways import Ways

LARGEST_SUMS = 1 << 20


class Pinning:
    """Asks for what no lock knows yet. `gather` gets files into the depot, several at once."""

    def __init__(
        self, ways: Ways, registries: Registries, depot: Depot, gather: Callable[[Mapping[str, Entry]], None]
    ) -> None:
        self._ways, self._registries = ways, registries
        self._depot, self._gather = depot, gather

    def over(self, release: Release, known: Known) -> Known:
        """What is known, and what is not, which goes into the user's own lock."""
        for step in (self._files, self._images, self._file_members, self._image_members):
            found = step(release, known)
            known = known.over(self._ways.lock.add(found)) if found != Known() else known
        return known

    def _files(self, release: Release, known: Known) -> Known:
        """The sums that upstream publishes."""
        sums = {each.url: each.sums for each in release.executables if each.url not in known.files}
        found = together.each(lambda url: self._published(url, sums[url]), [url for url in sums if url])
        return Known({url: Entry(sha256) for url, sha256 in found.items()})

    def _published(self, url: str, sums: str) -> str:
        refusals: list[tuple[str, Failure]] = []
        for place in self._ways.mirrors.urls(sums):
            try:
                sha256 = self._ways.patience(functools.partial(self._sum, place, url))
            except Failure as failure:
                refusals.append((place, failure))
            else:
                self._ways.watch.said(f"{url}: sha256 {sha256}, says {place}")
                return sha256
        raise unavailable(f"the sum of {url}", refusals)

    def _sum(self, place: str, url: str) -> str:
        if not place.startswith("https://"):
            raise Failure("is not https: a sum is only believed over verified TLS")
        with self._ways.web.open(place) as reply:
            if failure := replies.problem(reply):
                raise failure
            text = reply.read(LARGEST_SUMS).decode(errors="replace")
        sha256 = resolve.published_sum(text, url)
        if sha256 is None:
            raise Failure("gives no sum of the file")
        return sha256

    def _images(self, release: Release, known: Known) -> Known:
        """What the tags mean today."""
        arch = release.arch
        wanted = [name for name in release.names() if known.image(name, arch) is None]
        found = together.each(lambda name: self._resolved(name, arch), wanted)
        return Known(images={name: {arch: Entry(m.sha256, m.size)} for name, m in found.items()})

    def _resolved(self, name: str, arch: str) -> Manifest:
        found = self._registries.resolve(name, arch)
        self._ways.cache.put(found.data)
        self._ways.watch.said(f"{name} for {arch}: {found.digest}, says its registry")
        return found

    def _file_members(self, release: Release, known: Known) -> Known:
        """What is inside of archives: they are fetched for it."""
        lacking = [url for url in release.urls() if _lacks(known.files[url], release.members(url))]
        self._gather({url: known.files[url] for url in lacking})
        return Known({url: self._opened(url, release, known.files[url]) for url in lacking})

    def _opened(self, url: str, release: Release, entry: Entry) -> Entry:
        path = self._depot.file(url, entry)
        return Entry(entry.sha256, path.stat().st_size, archives.sums((path,), release.members(url)))

    def _image_members(self, release: Release, known: Known) -> Known:
        found: dict[str, dict[str, Entry]] = {}
        for name in release.names():
            entry, members = known.images[name][release.arch], release.members(name)
            if _lacks(entry, members):
                layers = reversed(manifest(self._depot, name, entry).layers)
                paths = [self._depot.blob(name, layer) for layer in layers]
                found[name] = {
                    release.arch: dataclasses.replace(entry, members=archives.sums(paths, members))
                }
        return Known(images=found)


def missing(release: Release, known: Known) -> tuple[str, ...]:
    """What a release is made of and no lock knows."""
    files = (url for url in release.urls() if _lacks(known.files.get(url), release.members(url)))
    images = (n for n in release.names() if _lacks(known.image(n, release.arch), release.members(n)))
    return (*files, *images)


def _lacks(entry: Entry | None, members: Sequence[str]) -> bool:
    return entry is None or any(name not in entry.members for name in members)
