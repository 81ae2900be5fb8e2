"""Who is let through first."""

from __future__ import annotations

import threading
import time

from kubeboot.host.slots import URGENCY, Slots


def test_of_those_who_wait_the_most_urgent_is_next_and_then_who_came_first() -> None:
    slots, order = Slots(1), []

    def use(name: str, urgency: float) -> None:
        URGENCY.set(urgency)
        with slots.one():
            order.append(name)

    threads = [
        threading.Thread(target=use, args=each) for each in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0))
    ]
    with slots.one():
        for number, thread in enumerate(threads, 1):
            thread.start()
            while len(slots._waiting) < number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(60.0)
    assert order == ["b", "c", "d", "a"]


def test_no_more_than_there_is_room_for_are_in_at_once() -> None:
    slots, inside, most = Slots(3), [], []

    def use() -> None:
        for _ in range(50):
            with slots.one():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert max(most) <= 3 and slots._free == 3 and not slots._waiting
