"""The ways to a file: redirects, mirrors, authorities, proxies."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.artifacts.download import Wanted
from kubeboot.artifacts.web import Web
from tests.fakes import downloads as fake
from tests.fakes import tls
from tests.sim.download_scene import DATA, PATH, PATIENT, SUM, Scene, refusal


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
