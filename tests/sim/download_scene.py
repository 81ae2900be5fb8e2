"""A site that does what networks do, and somebody who downloads from it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.download import Downloader, Wanted, Watch
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.web import Limits, Web
from tests.fakes import downloads as fake

DATA = bytes(n * 7 % 251 for n in range(300_000))
SUM = hashlib.sha256(DATA).hexdigest()
PATH = "/release/kubelet"


@dataclasses.dataclass
class Scene:
    """A site, and somebody who downloads from it."""

    site: fake.Site
    url: str
    cache: Cache
    web: Web
    slept: list[float]
    moved: list[tuple[int, int]]

    def fetch(self, *faults: fake.Fault, size: int = len(DATA), urls: tuple[str, ...] = ()) -> Path:
        self.site.put(PATH, DATA, *faults)
        return self.downloader().fetch(Wanted("kubelet", SUM, urls or (self.url + PATH,), size))

    def downloader(self) -> Downloader:
        patience = Patience(tries=3, pauses=(0.1, 0.2), sleep=self.slept.append)
        watch = Watch(moved=lambda name, done, total: self.moved.append((done, total)))
        return Downloader(self.cache, lambda url, headers: self.web.open(url, headers), watch, patience)

    def ranges(self) -> list[str | None]:
        return [each.headers.get("range") for each in self.site.of(PATH)]

    def left(self) -> list[str]:
        return sorted(each.name for each in self.cache.path(SUM).parent.iterdir())


PATIENT, QUICK = Limits(connect=30, silence=30), Limits(connect=30, silence=0.3)
"""Who is quick takes a server for a dead one that only has little of the CPU: for the dead alone."""


def refusal(scene: Scene, *faults: fake.Fault, **more: int) -> errors.KubebootError:
    """What is said; nothing is in the cache afterwards under the file's name."""
    with pytest.raises(errors.KubebootError) as caught:
        scene.fetch(*faults, **more)  # type: ignore[arg-type]
    assert not scene.cache.has(SUM)
    assert caught.value.hint
    return caught.value
