"""Many looks in one round trip: what is not known yet is noted, fetched together, and looked at again.

A check asks one thing after another, and over SSH each costs a channel and processes. Here the first pass
over all checks only notes what they ask (Unread ends each at its first question), one command answers all of
it, and so on until nothing is asked any more: a plan of a hundred steps takes five or six round trips.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from kubeboot import errors
from kubeboot.host import answers, health
from kubeboot.host.api import Unread
from kubeboot.host.commands import ABSENT, sh
from kubeboot.host.runner import Ask, Result
from kubeboot.host.shell import looks, runners
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.view import SshView

T = TypeVar("T")
Key = tuple[str, ...]

LONGEST = 60_000
"""Characters of a batch's words: a command line's limit is twice that."""
DEADLINE = 300.0
_SCRIPT, _FIRST = 2, 4
"""Where an argv of `commands.sh` has its script, and its arguments; a path is the last of them."""


class Batch(SshView):
    """A machine's view that answers from what was fetched. `wanted` is what was asked for beyond that."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._known: dict[tuple[Key, bytes], Result] = {}
        self.wanted: dict[Key, Ask[Any]] = {}

    def _ask(self, ask: Ask[T]) -> T:
        key = (ask.argv, ask.stdin)
        if key not in self._known and ask.stdin:
            self._known[key] = self.connection.run(ask.argv, (ask.stdin,), ask.deadline)
        if key not in self._known:
            self.wanted[ask.argv] = ask
            raise Unread
        return ask.answer(self._known[key], self.name)

    def sync_seconds(self, path: str) -> float | None:
        """Measured when it is asked, and again when it is asked again."""
        ask = health.sync_seconds(path)
        return ask.answer(self.connection.run(ask.argv, (ask.stdin,), ask.deadline), self.name)

    def fetch(self) -> None:
        """Answer what is wanted, if anything is, as far as one command line holds it."""
        if not self.wanted:
            return
        some: list[Key] = []
        length = 0
        for argv in self.wanted:
            length += sum(map(len, argv))
            if not some or length < LONGEST:
                some.append(argv)
        found = dict(self._together(some))
        for argv in some:
            ask = self.wanted.pop(argv)
            self._known[argv, b""] = found.get(argv) or self.connection.run(argv, (), ask.deadline)

    def _together(self, asked: list[Key]) -> Mapping[Key, Result]:
        """By one batch of commands; what is not in the answer is asked for by itself."""
        groups = {
            script: [argv for argv in asked if argv[_SCRIPT : _SCRIPT + 1] == (script,)] for script in MANY
        }
        grouped = {argv for group in groups.values() for argv in group}
        alone = [argv for argv in asked if argv not in grouped]
        merged = [(script, group) for script, group in groups.items() if group]
        commands = [
            sh("many", MANY[script][0], *group[0][_FIRST:-1], *(argv[-1] for argv in group))
            for script, group in merged
        ]
        results = self._run([*commands, *alone])
        answers: dict[Key, Result] = {}
        for (script, group), result in zip(merged, results, strict=False):
            answers |= _split(group, MANY[script][1], result)
        single = zip(alone, results[len(merged) :], strict=True)
        return answers | {argv: result for argv, result in single if self._usable(argv, result)}

    def _usable(self, argv: Key, result: Result) -> bool:
        """A batch keeps no words of a failure: where they may matter, the command is run by itself."""
        return result.status == 0 or result.status in self.wanted[argv].statuses

    def _run(self, commands: list[Key]) -> list[Result]:
        words = [word for argv in commands for word in (str(len(argv)), *argv)]
        mark = secrets.token_hex(16)  # no output has it
        told = (f"{mark}\n".encode(),)
        done = self.connection.run(sh("batch", runners.BATCH, *words), told, DEADLINE)
        results = list(_marked(done.out, mark.encode()))
        if done.status != 0 or len(results) != len(commands):
            raise errors.Unreachable(f"{self.name}: a batch of commands broke off", host=self.name)
        return results


def _marked(out: bytes, mark: bytes) -> Iterator[Result]:
    """Each command's output, which ends at a mark, and the status after that."""
    said, *rest = out.split(mark)
    for part in rest:
        status, _, following = part.partition(b"\n")
        yield Result(int(status), said, b"")
        said = following


def _split(
    group: list[Key], parse: Callable[[bytes], Mapping[str, bytes]], result: Result
) -> dict[Key, Result]:
    """Each one's own answer; a path that the answer does not name is not there."""
    try:
        found = parse(result.out) if result.status == 0 else None
    except ValueError:
        found = None
    if found is None:
        return {}
    return {
        argv: Result(0, found[argv[-1]], b"") if argv[-1] in found else Result(ABSENT, b"", b"")
        for argv in group
    }


MANY: Mapping[str, tuple[str, Callable[[bytes], Mapping[str, bytes]]]] = {
    looks.STAT: (looks.STATS, answers.stats),
    looks.READ: (looks.READS, answers.reads),
    looks.SHA256: (looks.SUMS, answers.sums),
}
"""What one process answers for many paths, and how its answer is taken apart."""
