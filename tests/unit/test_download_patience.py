"""How long a download is asked for again, and what is said meanwhile."""

from __future__ import annotations

import pytest

from kubeboot.artifacts import progress, replies
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.trouble import Failure


def test_progress_is_told_now_and_then_and_of_all_together() -> None:
    said: list[str] = []
    now = [0.0]
    watch = progress.spoken(said.append, clock=lambda: now[0])
    watch.moved("https://h/kubelet", 10 << 20, 40 << 20)
    assert said == []
    now[0] = 5.0
    watch.moved("a layer", 3 << 20, 0)
    assert said == ["downloaded 13 MiB so far; now kubelet 25%, a layer 3 MiB"]
    watch.moved("https://h/kubelet", 40 << 20, 40 << 20)
    now[0] = 10.0
    watch.moved("a layer", 4 << 20, 4 << 20)
    assert said[1:] == ["downloaded 44 MiB so far"]
    watch.said("found")
    assert said[-1] == "found"


def test_a_small_question_is_asked_again_while_that_may_help() -> None:
    slept: list[float] = []
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise Failure("no", again=True, after=9.0 if len(asked) == 2 else None)
        return "yes"

    assert Patience(tries=3, pauses=(1.0, 2.0), sleep=slept.append)(ask) == "yes"
    assert slept == [1.0, 9.0]
    asked.clear()
    with pytest.raises(Failure):
        Patience(tries=2, pauses=(1.0,), sleep=slept.append)(ask)


def test_what_cannot_change_is_asked_once() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise Failure("never")

    with pytest.raises(Failure):
        Patience(sleep=lambda seconds: None)(ask)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "said", "again", "after"),
    [
        (503, "3", True, 3.0), (429, "999999", True, 120.0), (429, "soon", True, None),
        (404, "", False, None),
        (429, "²", True, None), (429, "9" * 5000, True, 120.0),
        (429, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", True, None),
        (429, "Thu, 01 Jan 1970 00:00:00 GMT", True, 0.0), (401, "", False, None), (599, "", False, None),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, said: str, again: bool, after: float | None) -> None:
    reply = replies.Reply(status, {"retry-after": said}, "https://h/", iter(()))
    failure = replies.problem(reply)
    assert failure is not None
    assert (failure.again, failure.after) == (again, after)
    assert str(status) in failure.why


@pytest.mark.parametrize(
    ("said", "length"), [("12", 12), ("", None), ("²", None), ("-1", None), ("9" * 5000, None)]
)
def test_a_length_that_is_no_number_is_not_known(said: str, length: int | None) -> None:
    assert replies.Reply(200, {"content-length": said}, "https://h/", iter(())).length == length
