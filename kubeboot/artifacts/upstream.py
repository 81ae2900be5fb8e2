"""Upstream, or whatever mirrors stand for it: asked once what its files are, then held to it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kubeboot import errors
from kubeboot.artifacts import archives, oci, replies, resolve
from kubeboot.artifacts.cache import Cache, sum_of
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Downloader, Patience, Wanted, Watch, nobody
from kubeboot.artifacts.known import Entry, Known, UserLock
from kubeboot.artifacts.manifests import Manifest
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.releases import Release
from kubeboot.artifacts.stock import manifest
from kubeboot.artifacts.trouble import Failure, refused
from kubeboot.artifacts.web import Web

LARGEST_SUMS = 1 << 20
AT_ONCE = 4
_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class Ways:
    """How upstream is reached, and where what it gives is kept."""

    web: Web
    cache: Cache
    lock: UserLock
    shipped: Known = dataclasses.field(default_factory=Known)
    mirrors: Mirrors = dataclasses.field(default_factory=Mirrors)
    credentials: Credentials = dataclasses.field(default_factory=Credentials)
    watch: Watch = dataclasses.field(default_factory=Watch)
    patience: Patience = dataclasses.field(default_factory=Patience)


class Upstream:
    """A depot. `locked`: nothing new is believed. `peek`: nobody is asked, and nothing is written."""

    def __init__(self, ways: Ways, *, locked: bool = False, peek: bool = False) -> None:
        self._ways = ways
        self._locked = locked
        self._peek = peek
        self._registries = Registries(ways.web, ways.mirrors, ways.credentials, ways.patience)
        self._downloads = Downloader(
            ways.cache, lambda url, headers: ways.web.open(url, headers), ways.watch, ways.patience
        )

    def close(self) -> None:
        self._ways.web.close()

    def label(self) -> str:
        return f"upstream, kept in {self._ways.cache.root}"

    def known(self, release: Release) -> Known:
        """What is in the locks; what is not is asked for now, and goes into the user's own."""
        known = self._ways.shipped.over(self._ways.lock.read())
        lacking = missing(release, known)
        if self._peek or not lacking:
            return known
        if self._locked:
            raise refused(
                f"{len(lacking)} artifacts are in no lock, and nothing new may be trusted: {lacking[0]} …",
                "`kubeboot artifacts lock` asks upstream for them; or set artifacts.locked to false",
            )
        for step in (self._files, self._images, self._file_members, self._image_members):
            found = step(release, known)
            known = known.over(self._ways.lock.add(found)) if found != Known() else known
        return known

    def _files(self, release: Release, known: Known) -> Known:
        """The sums that upstream publishes."""
        sums = {each.url: each.sums for each in release.executables if each.url not in known.files}
        found = _each(lambda url: self._published(url, sums[url]), [url for url in sums if url])
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
        raise nobody(f"the sum of {url}", refusals)

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
        found = _each(lambda name: self._resolved(name, arch), wanted)
        return Known(images={name: {arch: Entry(_hex(m.digest), m.size)} for name, m in found.items()})

    def _resolved(self, name: str, arch: str) -> Manifest:
        found = self._registries.resolve(name, arch)
        self._ways.cache.put(found.data)
        self._ways.watch.said(f"{name} for {arch}: {found.digest}, says its registry")
        return found

    def _file_members(self, release: Release, known: Known) -> Known:
        """What is inside of archives: they are fetched for it."""
        lacking = [url for url in release.urls() if _lacks(known.files[url], release.members(url))]
        self._downloads.all([self._wanted(url, known.files[url]) for url in lacking])
        return Known({url: self._opened(url, release, known.files[url]) for url in lacking})

    def _opened(self, url: str, release: Release, entry: Entry) -> Entry:
        path = self.file(url, entry)
        return Entry(entry.sha256, path.stat().st_size, archives.sums((path,), release.members(url)))

    def _image_members(self, release: Release, known: Known) -> Known:
        found: dict[str, dict[str, Entry]] = {}
        for name in release.names():
            entry, members = known.images[name][release.arch], release.members(name)
            if _lacks(entry, members):
                layers = [self.blob(name, each) for each in reversed(manifest(self, name, entry).layers)]
                found[name] = {
                    release.arch: dataclasses.replace(entry, members=archives.sums(layers, members))
                }
        return Known(images=found)

    def file(self, url: str, entry: Entry) -> Path:
        """A file in the cache, fetched if need be."""
        return self._downloads.fetch(self._wanted(url, entry))

    def _wanted(self, url: str, entry: Entry) -> Wanted:
        return Wanted(url, entry.sha256, self._ways.mirrors.urls(url), entry.size)

    def blob(self, name: str, blob: oci.Descriptor) -> Path:
        """A part of an image in the cache, fetched if need be."""
        sha256 = _hex(blob.digest)
        if self._ways.cache.has(sha256):
            return self._ways.cache.path(sha256)
        if not blob.size:
            return self._ways.cache.put(self._registries.manifest(name, blob.digest).data)
        wanted = self._registries.blob(name, blob)
        return self._downloads.fetch(wanted, self._registries.open)

    def urls(self, url: str) -> tuple[str, ...]:
        """Upstream's own, or the mirrors'."""
        return self._ways.mirrors.urls(url)

    def blob_urls(self, name: str, blob: oci.Descriptor) -> tuple[str, ...]:
        """Where registries lead everybody to: good for some minutes."""
        found = (self._registries.open_to_all(url) for url in self._registries.blob(name, blob).urls)
        return tuple(itertools.islice((url for url in found if url), 1))

    def verify(self, release: Release, known: Known) -> None:
        """Everything is in the cache, and is what it must be: what is damaged there is fetched again."""
        files = [self._wanted(url, known.files[url]) for url in release.urls()]
        entries = {name: known.images[name][release.arch] for name in release.names()}
        self._drop_damaged([*(each.sha256 for each in files), *(each.sha256 for each in entries.values())])
        made = _each(lambda name: manifest(self, name, entries[name]), list(entries))
        layers = {
            blob.digest: self._registries.blob(name, blob) for name, m in made.items() for blob in m.blobs
        }
        self._drop_damaged([each.sha256 for each in layers.values()])
        self._downloads.all(files)
        self._downloads.all(list(layers.values()), self._registries.open)
        self._measure(files)

    def _measure(self, files: Sequence[Wanted]) -> None:
        """Sizes are known from now on: they make the next run's progress true."""
        sized = {each.name: Entry(each.sha256, self._size(each)) for each in files if not each.size}
        if sized:
            self._ways.lock.add(Known(sized))

    def _size(self, wanted: Wanted) -> int:
        return self._ways.cache.path(wanted.sha256).stat().st_size

    def _drop_damaged(self, sums: Iterable[str]) -> None:
        for sha256 in sums:
            path = self._ways.cache.path(sha256)
            if path.is_file() and sum_of(path) != sha256:
                self._ways.watch.said(f"{path} is damaged, and is fetched again")
                path.unlink(missing_ok=True)


def missing(release: Release, known: Known) -> tuple[str, ...]:
    """What a release is made of and no lock knows."""
    files = (url for url in release.urls() if _lacks(known.files.get(url), release.members(url)))
    images = (n for n in release.names() if _lacks(known.image(n, release.arch), release.members(n)))
    return (*files, *images)


def _lacks(entry: Entry | None, members: Sequence[str]) -> bool:
    return entry is None or any(name not in entry.members for name in members)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _each(ask: Callable[[_Item], _Found], items: Sequence[_Item]) -> dict[_Item, _Found]:
    """Ask for several at once; when some cannot be had, one error tells of all of them."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolve") as pool:
        tasks = {item: pool.submit(ask, item) for item in items}
    failed = [error for task in tasks.values() if (error := task.exception()) is not None]
    for error in failed:
        if not isinstance(error, errors.KubebootError) or len(failed) == 1:
            raise error
    if failed:
        raise _together([error for error in failed if isinstance(error, errors.KubebootError)])
    return {item: task.result() for item, task in tasks.items()}


def _together(failed: Sequence[errors.KubebootError]) -> errors.KubebootError:
    worst = next((error for error in failed if isinstance(error, errors.ConfigInvalid)), failed[0])
    return type(worst)(
        f"{len(failed)} artifacts cannot be obtained",
        hint=worst.hint,
        reason=worst.reason,
        output="\n".join(error.message for error in failed),
    )
