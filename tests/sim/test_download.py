"""Downloads from a real HTTPS server: once from a good one, refused or given up from a bad one."""

from __future__ import annotations

import pytest

from kubeboot.artifacts.web import Web
from tests.fakes import downloads as fake
from tests.fakes import tls
from tests.sim.download_scene import DATA, PATH, PATIENT, SUM, Scene, refusal


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
