"""Several questions at once, and one error that tells of all that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kubeboot import errors

AT_ONCE = 4
Item = TypeVar("Item")
Found = TypeVar("Found")


def each(ask: Callable[[Item], Found], items: Sequence[Item]) -> dict[Item, Found]:
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
