"""One file from the first server that gives it: resumed after a cut, and used only when its sum is right."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from kubeboot.artifacts import replies
from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.ending import until
from kubeboot.artifacts.part import Part
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.refusals import unavailable
from kubeboot.artifacts.replies import Open, Reply
from kubeboot.artifacts.trouble import Failure

LARGEST = 8 << 30
"""Bytes that a file of unknown size may have."""
_RANGE = re.compile(r"^bytes ([0-9]{1,18})-[0-9]+/([0-9]+|\*)\Z")
_WHOLE = re.compile(r"^bytes \*/([0-9]{1,18})\Z")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is wanted by its sum, and who may have it, first choice first. `size` 0: not known."""

    name: str
    sha256: str
    urls: tuple[str, ...]
    size: int = 0


@dataclasses.dataclass(frozen=True)
class Watch:
    """Who is told: sentences for a person, and (name, bytes so far, bytes in all or 0) while they come."""

    said: Callable[[str], None] = lambda text: None
    moved: Callable[[str, int, int], None] = lambda name, done, total: None


class Downloader:
    """Downloads into a cache, from any thread."""

    def __init__(self, cache: Cache, opener: Open, watch: Watch, patience: Patience | None = None) -> None:
        self.cache = cache
        self._open = opener
        self._watch = watch
        self._patience = patience or Patience()

    def fetch(self, wanted: Wanted, opener: Open | None = None) -> Path:
        """The file in the cache. Unreachable or ConfigInvalid say what became of every server."""
        with self.cache.claim(wanted.sha256) as part:
            if isinstance(part, Path):
                return part
            self.cache.require_room(max(0, wanted.size - part.size))
            refusals: list[tuple[str, Failure]] = []
            for url in wanted.urls:
                try:
                    self._from(url, wanted, part, opener or self._open)
                    return part.finish()
                except Failure as failure:
                    refusals.append((url, failure))
            raise unavailable(wanted.name, refusals)

    def all(self, wanted: Sequence[Wanted], opener: Open | None = None) -> None:
        """Several, four at a time. After a failure, or Ctrl-C, the others end too; the next run goes on."""
        over = threading.Event()
        ending = until(over, opener or self._open)
        with ThreadPoolExecutor(4, thread_name_prefix="download") as pool:
            tasks = [pool.submit(self.fetch, each, ending) for each in wanted]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _from(self, url: str, wanted: Wanted, part: Part, opener: Open) -> None:
        """One server, asked again as long as it helps."""
        idle = 0
        for _ in range(self._patience.most):
            before = part.size
            try:
                self._once(url, wanted, part, opener)
                return
            except Failure as failure:
                idle = 0 if part.size > before else idle + 1
                if not failure.again or idle >= self._patience.tries:
                    raise
                self._patience.rest(failure, max(0, idle - 1))
        raise Failure("keeps closing the connection")

    def _once(self, url: str, wanted: Wanted, part: Part, opener: Open) -> None:
        begun = part.size
        if not (begun and begun == wanted.size):
            with opener(url, _headers(url, part)) as reply:
                if _goes_on(reply, part):
                    _plausible(reply, wanted, part)
                    self._receive(url, reply, wanted, part)
                    begun = begun or reply.length is None
        if not part.right:
            found = part.sha256
            part.restart()
            raise Failure(f"sends other bytes: sha256 {found} instead of {wanted.sha256}", again=bool(begun))

    def _receive(self, url: str, reply: Reply, wanted: Wanted, part: Part) -> None:
        total = wanted.size or (part.size + reply.length if reply.length is not None else 0)
        if not part.size and (validator := _validator(reply)):
            part.mark(url, validator)
        for chunk in reply.chunks:
            part.write(chunk)
            if part.size > (wanted.size or LARGEST):
                part.restart()
                raise Failure(f"sends more than the {wanted.size or LARGEST} bytes that the file has")
            self._watch.moved(wanted.name, part.size, total)
        if part.size < total:
            raise Failure(f"ended after {part.size} of {total} bytes", again=True)


def _headers(url: str, part: Part) -> Mapping[str, str]:
    """From where on; the server's name for the version that we have a part of, if it is this server's."""
    if not part.size:
        return {}
    validator = part.validator(url)
    return {"Range": f"bytes={part.size}-"} | ({"If-Range": validator} if validator else {})


def _validator(reply: Reply) -> str:
    """A strong name for a version of a file: what If-Range may carry."""
    tag = reply.headers.get("etag", "")
    return tag if tag.startswith('"') else reply.headers.get("last-modified", "") if not tag else ""


def _goes_on(reply: Reply, part: Part) -> bool:
    """Make the part end where the answer begins; False when nothing is to follow, it being complete."""
    if reply.status == 416:
        _beyond(reply, part)
        return False
    if reply.status == 206:
        found = _RANGE.match(reply.headers.get("content-range", ""))
        if found is None or int(found[1]) != part.size:
            part.restart()
            raise Failure("resumes at another offset than asked", again=True)
    elif failure := replies.problem(reply):
        raise failure
    else:
        part.restart()
    return True


def _beyond(reply: Reply, part: Part) -> None:
    """For an offset at or past the end: the part is complete, or it is of another file."""
    found = _WHOLE.match(reply.headers.get("content-range", ""))
    if not part.right:
        why = f"has {found[1]} bytes only" if found else "has no such range"
        again = part.size > 0
        part.restart()
        raise Failure(why, again=again)


def _plausible(reply: Reply, wanted: Wanted, part: Part) -> None:
    """Refuse at once what cannot be the file."""
    if reply.headers.get("content-type", "").lower().startswith("text/html"):
        raise Failure("sends a web page instead of the file")
    if reply.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Failure("sends the file encoded, which was not asked for")
    if wanted.size and reply.length is not None and part.size + reply.length > wanted.size:
        raise Failure(f"offers {part.size + reply.length} bytes for a file of {wanted.size}")
