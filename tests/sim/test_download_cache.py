"""The disk that is downloaded to, full or damaged, and several who download at once."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts import cache as caches
from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.download import Downloader, Wanted, Watch
from kubeboot.artifacts.part import Part
from kubeboot.artifacts.replies import Reply
from kubeboot.artifacts.web import Web
from tests.fakes import downloads as fake
from tests.sim.download_scene import DATA, PATH, PATIENT, SUM, Scene, refusal


def test_a_full_disk_is_said_and_left_as_it_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Part.write

    def full(part: Part, data: bytes) -> None:
        write(part, data)
        if part.size > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Part, "write", full)
    found = refusal(scene)
    assert (found.reason, found.exit_code) == ("KB_DISK", 1)
    assert scene.left() == []


def test_a_disk_without_room_is_not_begun_to_be_filled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = caches.shutil.disk_usage("/")
    monkeypatch.setattr(caches.shutil, "disk_usage", lambda path: usage._replace(free=caches.ROOM + 1000))
    assert "MiB are free" in refusal(scene).message
    assert scene.site.asked == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, scene: Scene) -> None:
    (tmp_path / "file").write_bytes(b"")
    scene.cache = Cache(tmp_path / "file" / "cache")
    with pytest.raises(errors.ConfigInvalid) as caught:
        scene.fetch()
    assert caught.value.reason == "KB_CACHE"
    assert "cacheDir" in str(caught.value.hint)


def test_two_threads_that_want_the_same_fetch_it_once(scene: Scene) -> None:
    scene.site.put(PATH, DATA)
    wanted = [Wanted("kubelet", SUM, (scene.url + PATH,), len(DATA))] * 6
    scene.downloader().all(wanted)
    assert len(scene.site.asked) == 1
    assert scene.left() == [SUM]


def test_two_runs_that_want_the_same_fetch_it_once(scene: Scene, authority: str) -> None:
    held, free = threading.Event(), threading.Event()

    def slow(handler: fake.Handler, data: bytes) -> None:
        held.set()
        free.wait(60)
        handler.serve(data)

    scene.site.put(PATH, DATA, slow)
    context = multiprocessing.get_context("spawn")
    first = threading.Thread(
        target=lambda: scene.downloader().fetch(Wanted("kubelet", SUM, (scene.url + PATH,)))
    )
    first.start()
    assert held.wait(60)
    arguments = (str(scene.cache.root), authority, scene.url + PATH)
    other = context.Process(target=_fetch, args=arguments)
    other.start()
    free.set()
    first.join(60)
    other.join(60)
    assert other.exitcode == 0
    assert len(scene.site.asked) == 1
    assert scene.left() == [SUM]


def _fetch(root: str, authority: str, url: str) -> None:
    web = Web(authority, PATIENT, environ={})
    path = Downloader(Cache(Path(root)), lambda u, h: web.open(u, h), Watch()).fetch(Wanted("k", SUM, (url,)))
    assert path.read_bytes() == DATA
    web.close()


def test_the_first_failure_ends_the_others(scene: Scene) -> None:
    scene.site.put(PATH, DATA)
    wanted = [Wanted(f"file {n}", f"{n}" * 64, (f"{scene.url}/{n}",)) for n in range(9)]
    with pytest.raises(errors.Unreachable, match=r"file . cannot be downloaded"):
        scene.downloader().all(wanted)


@pytest.mark.parametrize("order", [1, -1])
def test_who_stops_waits_for_no_other_download(scene: Scene, order: int) -> None:
    """As after Ctrl-C, which must not wait for hundreds of megabytes on a slow line."""
    begun, failed, sent = threading.Event(), threading.Event(), []

    def chunks() -> Iterator[bytes]:
        begun.set()
        failed.wait(60)
        for _ in range(3000):
            sent.append(1)
            yield b"x"
            time.sleep(0.01)

    @contextlib.contextmanager
    def opener(url: str, headers: Mapping[str, str]) -> Iterator[Reply]:
        if url.endswith("bad"):
            begun.wait(60)
            failed.set()
            raise KeyboardInterrupt
        yield Reply(200, {}, url, chunks())

    wanted = [Wanted(name, f"{number}" * 64, (name,)) for number, name in enumerate(("slow", "bad"))]
    with pytest.raises(KeyboardInterrupt):
        Downloader(scene.cache, opener, Watch()).all(wanted[::order])
    assert len(sent) < 3000


def test_a_damaged_file_in_the_cache_is_noticed_before_its_end(scene: Scene) -> None:
    path = scene.fetch()
    path.write_bytes(DATA[:-1] + b"?")
    given = []
    with pytest.raises(errors.ConfigInvalid, match="is damaged"):
        given.extend(caches.chunks(path, SUM))
    assert b"?" not in b"".join(given)
