"""Downloads from a real HTTPS server that does what networks do: resumed or refused, never used."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
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
from kubeboot.artifacts.download import Downloader, Patience, Wanted, Watch
from kubeboot.artifacts.part import Part
from kubeboot.artifacts.replies import Reply
from kubeboot.artifacts.web import Limits, Web
from tests.fakes import downloads as fake
from tests.fakes import tls

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


@pytest.fixture
def scene(tmp_path: Path, authority: str) -> Iterator[Scene]:
    site, web = fake.Site(), Web(authority, PATIENT, environ={})
    with fake.serving(site) as url:
        yield Scene(site, url, Cache(tmp_path / "cache"), web, [], [])
        web.close()


def refusal(scene: Scene, *faults: fake.Fault, **more: int) -> errors.KubebootError:
    """What is said; nothing is in the cache afterwards under the file's name."""
    with pytest.raises(errors.KubebootError) as caught:
        scene.fetch(*faults, **more)  # type: ignore[arg-type]
    assert not scene.cache.has(SUM)
    assert caught.value.hint
    return caught.value


def test_a_good_server_is_asked_once(scene: Scene) -> None:
    path = scene.fetch()
    assert path.read_bytes() == DATA
    assert path == scene.cache.path(SUM)
    assert scene.left() == [SUM]
    assert scene.ranges() == [None]
    assert scene.moved[-1] == (len(DATA), len(DATA))
    assert scene.fetch() == path
    assert len(scene.site.asked) == 1


def test_an_answer_that_nobody_reads_leaves_its_connection_to_the_next_question(authority: str) -> None:
    certificate = tls.issued(fake.authority(), "registry", "127.0.0.1")
    with tls.Server(lambda request: tls.Reply(404, b"x" * 1000), certificate).running() as server:
        web = Web(authority, PATIENT, environ={})
        for method in ("HEAD", "GET", "HEAD"):
            with web.open(f"{server.url}/", method=method) as reply:
                assert reply.status == 404
        web.close()
        assert len({each.connection for each in server.requests}) == 1


ONCE = {
    "cut": fake.cut(100_000),
    "cut at the head": fake.cut(0),
    "hangs up": fake.hang_up,
    "says it is shorter": fake.length(70_000),
    "says it is longer, and ends": fake.length(300_000 - 1),
    "503": fake.answer(503),
    "429": fake.answer(429, Retry_After="7"),
    "500 as a web page": fake.answer(500, b"<html>", Content_Type="text/html"),
    "ends early without a length": fake.until_closed(1000),
}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_what_passes_is_waited_for_and_resumed(scene: Scene, fault: fake.Fault) -> None:
    assert scene.fetch(fault).read_bytes() == DATA
    assert len(scene.site.asked) == 2
    assert scene.left() == [SUM]


@pytest.mark.parametrize("count", [0, 50_000])
def test_a_server_that_says_nothing_more_is_left(scene: Scene, authority: str, count: int) -> None:
    """What it is asked then it may be too slow to answer as well."""
    scene.web = Web(authority, QUICK, environ={})
    assert scene.fetch(fake.stall(count)).read_bytes() == DATA
    assert len(scene.site.asked) >= 2
    scene.web.close()


def test_what_was_there_is_not_fetched_again(scene: Scene) -> None:
    scene.fetch(fake.cut(100_000), fake.cut(50_000))
    asked = scene.site.of(PATH)
    assert [each.headers.get("range") for each in asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert [each.headers.get("if-range") for each in asked] == [None, '"v1"', '"v1"']


def test_a_killed_run_is_resumed_by_the_next(scene: Scene) -> None:
    refusal(scene, fake.cut(100_000), *[fake.hang_up] * 3)
    assert scene.left() == [f"{SUM}.from", f"{SUM}.part"]
    scene.site.asked.clear()
    assert scene.fetch().read_bytes() == DATA
    assert scene.ranges() == ["bytes=100000-"]
    assert scene.site.asked[0].headers["if-range"] == '"v1"'
    assert scene.left() == [SUM]


def test_a_file_that_changed_at_the_server_is_fetched_whole(scene: Scene) -> None:
    refusal(scene, fake.cut(100_000), *[fake.hang_up] * 3)
    scene.site.etag = '"v2"'
    scene.site.asked.clear()
    assert scene.fetch().read_bytes() == DATA
    assert len(scene.site.asked) == 1


@pytest.mark.parametrize("tag", ['W/"weak"', None])
def test_a_weak_name_of_a_version_is_not_relied_on(scene: Scene, tag: str | None) -> None:
    scene.site.etag = tag
    assert scene.fetch(fake.cut(100_000)).read_bytes() == DATA
    assert scene.site.asked[1].headers["range"] == "bytes=100000-"
    assert "if-range" not in scene.site.asked[1].headers


def test_wrong_bytes_under_a_right_beginning_cost_one_more_request(scene: Scene) -> None:
    """A part of another file, completed with ours, has a wrong sum: all is fetched anew, once."""
    part = scene.cache.path(SUM).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert scene.fetch().read_bytes() == DATA
    assert scene.ranges() == ["bytes=1000-", None]


def test_a_part_that_is_complete_needs_no_request(scene: Scene) -> None:
    part = scene.cache.path(SUM).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    assert scene.fetch().read_bytes() == DATA
    assert scene.site.asked == []


def test_a_complete_part_of_unknown_size_is_recognized_by_416(scene: Scene) -> None:
    part = scene.cache.path(SUM).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    assert scene.fetch(size=0).read_bytes() == DATA
    assert scene.ranges() == [f"bytes={len(DATA)}-"]


ON_RESUME = {"the whole file": fake.whole, "another part": fake.elsewhere, "416": fake.beyond}


@pytest.mark.parametrize("fault", ON_RESUME.values(), ids=ON_RESUME)
def test_a_strange_answer_to_a_range_begins_afresh(scene: Scene, fault: fake.Fault) -> None:
    assert scene.fetch(fake.cut(100_000), fault).read_bytes() == DATA


NEVER = {
    "other bytes": (fake.other_bytes, "sends other bytes: sha256"),
    "a web page": (fake.answer(200, b"<html>pay here</html>", Content_Type="text/html"), "web page"),
    "another length": (fake.answer(200, DATA + b"more"), "offers 300004 bytes for a file of 300000"),
    "no end": (fake.endless(400_000), "sends more than the 300000 bytes"),
    "encoded": (fake.answer(200, DATA, Content_Encoding="gzip"), "encoded"),
    "not there": (fake.answer(404), "answers 404 Not Found"),
    "forbidden": (fake.answer(403), "answers 403 Forbidden"),
    "nowhere": (fake.answer(301), "answers 301 Moved Permanently without a way on"),
    "plain": (fake.answer(302, Location="http://127.0.0.1:1/kubelet"), "which is not https"),
    "a file": (fake.answer(302, Location="file:///etc/shadow"), "which is not https"),
    "itself": (lambda handler, data: handler.reply(302, b"", {"Location": PATH}), "404|redirects|302"),
}


@pytest.mark.parametrize(("fault", "said"), NEVER.values(), ids=NEVER)
def test_what_does_not_pass_is_refused_at_once(scene: Scene, fault: fake.Fault, said: str) -> None:
    found = refusal(scene, *[fault] * 10)
    assert any(word in found.message for word in said.split("|")), found.message
    assert scene.slept == []
    assert found.exit_code in (4, 5)


def test_a_web_page_is_explained(scene: Scene) -> None:
    found = refusal(scene, NEVER["a web page"][0])
    assert "proxy" in str(found.hint)


def test_a_wrong_sum_is_no_network_problem(scene: Scene) -> None:
    found = refusal(scene, fake.other_bytes)
    assert (found.exit_code, found.reason) == (4, "KB_ARTIFACT")
    assert SUM in found.message
    assert scene.left() == [f"{SUM}.part"]
    assert (scene.cache.path(SUM).with_suffix(".part")).stat().st_size == 0


def test_a_shorter_file_of_unknown_size_is_refused(scene: Scene) -> None:
    assert "other bytes" in refusal(scene, fake.length(70_000), size=0).message


def test_what_never_stops_failing_is_given_up(scene: Scene) -> None:
    found = refusal(scene, *[fake.answer(503)] * 9)
    assert len(scene.site.asked) == 3
    assert scene.slept == [0.1, 0.2]
    assert (found.exit_code, found.reason) == (5, "KB_DOWNLOAD")
    assert "answers 503 Service Unavailable" in found.message


def test_a_slow_line_that_breaks_often_gets_there(scene: Scene) -> None:
    assert scene.fetch(*[fake.cut(10_000)] * 25).read_bytes() == DATA
    assert len(scene.site.asked) == 26


def test_a_server_says_how_long_to_wait(scene: Scene) -> None:
    late = "Fri, 31 Dec 2999 23:59:59 GMT"
    scene.fetch(fake.answer(429, Retry_After="7"), fake.answer(503, Retry_After=late))
    assert scene.slept == [7.0, 120.0]


def test_a_redirect_is_followed_where_it_leads_over_https(scene: Scene) -> None:
    scene.site.put("/cdn/kubelet", DATA)
    assert scene.fetch(fake.answer(307, Location="/cdn/kubelet?signature=s")).read_bytes() == DATA


def test_a_secret_stays_with_the_host_that_it_is_for(scene: Scene) -> None:
    other = fake.Site()
    other.put("/kubelet", DATA)
    with fake.serving(other) as elsewhere:
        scene.site.put(PATH, DATA, fake.answer(302, Location=f"{elsewhere}/kubelet"))
        with scene.web.open(scene.url + PATH, {"Authorization": "Basic c2VjcmV0"}) as reply:
            assert reply.read(1 << 20) == DATA
    assert scene.site.asked[0].headers["authorization"] == "Basic c2VjcmV0"
    assert "authorization" not in other.asked[0].headers


def test_mirrors_are_tried_in_order(scene: Scene) -> None:
    scene.site.put("/one/kubelet", DATA, fake.other_bytes)
    scene.site.put("/two/kubelet", DATA, fake.answer(404))
    urls = (*(f"{scene.url}/{each}/kubelet" for each in ("one", "two", "three")), scene.url + PATH)
    assert scene.fetch(urls=urls).read_bytes() == DATA
    assert [each.path for each in scene.site.asked] == [
        "/one/kubelet",
        "/two/kubelet",
        "/three/kubelet",
        PATH,
    ]


def test_a_mirror_goes_on_where_another_stopped(scene: Scene) -> None:
    scene.site.put("/one/kubelet", DATA, fake.cut(100_000), *[fake.answer(404)] * 9)
    assert scene.fetch(urls=(f"{scene.url}/one/kubelet", scene.url + PATH)).read_bytes() == DATA
    last = scene.site.asked[-1]
    assert (last.path, last.headers["range"]) == (PATH, "bytes=100000-")
    assert "if-range" not in last.headers


def test_what_became_of_each_mirror_is_said(scene: Scene) -> None:
    scene.site.put(PATH, DATA)
    urls = (f"{scene.url}/a?token=secret", "https://127.0.0.1:1/b")
    with pytest.raises(errors.Unreachable) as caught:
        scene.downloader().fetch(Wanted("kubelet", SUM, urls))
    assert f"{scene.url}/a answers 404 Not Found" in caught.value.message
    assert "https://127.0.0.1:1/b connection refused" in caught.value.message
    assert "secret" not in caught.value.message


def test_who_cannot_be_reached_is_not_waited_for_again_and_again(scene: Scene) -> None:
    for n in range(3):
        with pytest.raises(errors.Unreachable) as caught:
            scene.downloader().fetch(Wanted("kubelet", f"{n}" * 64, ("https://127.0.0.1:1/b",)))
    assert "could not be reached before" in caught.value.message
    assert len(scene.slept) == 3


def test_an_unknown_authority_is_refused(scene: Scene) -> None:
    scene.web = Web(None, PATIENT, environ={})
    assert "certificate that is not trusted" in refusal(scene).message
    assert scene.site.asked == []
    scene.web.close()


def test_a_certificate_of_another_name_is_refused(scene: Scene) -> None:
    certificate = tls.issued(fake.authority(), "other", "elsewhere.example")
    with tls.Server(lambda request: tls.Reply(), certificate).running() as server:
        assert "is not trusted" in refusal(scene, urls=(server.url,)).message  # type: ignore[arg-type]


def test_a_plain_server_is_no_tls_server(scene: Scene) -> None:
    with fake.serving(fake.Site(), secure=False) as url:
        found = refusal(scene, urls=(url.replace("http:", "https:"),))  # type: ignore[arg-type]
    assert "does not speak TLS" in found.message


def test_a_plain_mirror_may_give_what_is_known_by_its_sum(scene: Scene) -> None:
    site = fake.Site()
    site.put("/kubelet", DATA)
    with fake.serving(site, secure=False) as url:
        assert scene.fetch(urls=(f"{url}/kubelet",)).read_bytes() == DATA


def test_proxies_are_asked(scene: Scene, authority: str) -> None:
    """A plain proxy gets the whole URL of a plain request."""
    proxy = fake.Site()
    proxy.put("http://mirror.example/kubelet", DATA)
    with fake.serving(proxy, secure=False) as url:
        scene.web = Web(authority, PATIENT, environ={"http_proxy": url, "NO_PROXY": "other.example"})
        assert scene.fetch(urls=("http://mirror.example/kubelet",)).read_bytes() == DATA
        scene.web.close()
    assert proxy.asked[0].headers["host"] == "mirror.example"


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
