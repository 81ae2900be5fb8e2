"""Downloads that go on where they stopped, after whatever a network does, and use nothing else."""

from __future__ import annotations

import pytest

from kubeboot.artifacts.web import Web
from tests.fakes import downloads as fake
from tests.sim.download_scene import DATA, PATH, QUICK, SUM, Scene, refusal

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
