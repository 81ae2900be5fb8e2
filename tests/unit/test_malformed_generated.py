"""What nobody thought of: configurations and command lines, mutated. No traceback, and the right exit code.

A thousand in every run; a hundred thousand with --chaos, the count printed. KUBEBOOT_SEED draws others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.cli import actions
from tests.unit import malformed
from tests.unit.cli_support import Ran, run

SEED = int(os.environ.get("KUBEBOOT_SEED", "1"))
SOME, MANY = 500, 50_000
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 130}
"""Exit codes; those of a configuration are 0 and 4."""
DOCUMENTS = (
    *((malformed.HEAD + body).encode() for body in malformed.FIELDS),
    *(text.encode() for text in malformed.RAW),
    *malformed.BYTES,
)
PIECES = (
    b"\0", b"\xff", b"\r", b"\t", b"\n---\n", b": ", b"- ", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"<<: *a",
    b"!!binary ", b"!!python/object:os.system ", b"'", b'"', b"|\n", b"null", b"~", b"1e999", b"-1", b"0x10",
    b"99999999999999999999", b"2026-11-21", b"\xe2\x80\xae", b"\xf0\x9f\x92\xa5", b"%", b"#", b"../", b"::1",
    b"10.0.0.0/33", b"a" * 300,
)  # fmt: skip
TOKEN, HASH = "abcdef.0123456789abcdef", "sha256:" + "0f" * 32
LINES = (
    ("init", "--pod-network-cidr", "10.244.0.0/16", "--token", TOKEN, "--token-ttl", "24h"),
    ("init", "--node-name", "cp-1", "--control-plane-endpoint", "k8s.example.org:8443", "--dry-run"),
    ("join", "10.0.0.11:8443", "--token", TOKEN, "--discovery-token-ca-cert-hash", HASH),
    ("join", "[2001:db8::1]:8443", "--control-plane", "--certificate-key", "0f" * 32, "--token", TOKEN),
    ("join", "cp-1", "--token-file", "-", "--discovery-token-ca-cert-hash", HASH, "-v"),
    ("reset", "--yes", "--force", "--timeout-scale", "2"),
    ("token", "create", TOKEN, "--ttl", "2h"),
    ("preflight", "--ignore-preflight-errors", "Swap,Port-6443", "-o", "json"),
)
VERBS = ("init", "join", "reset", "preflight", "token_create")


def mutated(draw: random.Random, data: bytes) -> bytes:
    """One to four cuts, repetitions, foreign pieces or changed bytes."""
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randint(0, len(data)) for _ in range(2))
        middle = draw.choice((b"", data[at:to] * 2, draw.choice(PIECES), draw.randbytes(draw.randint(1, 3))))
        data = data[:at] + middle + data[draw.choice((at, to)) :]
    return data[:5000]


def configurations(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    while True:
        text = mutated(draw, draw.choice(DOCUMENTS))
        yield lambda text=text: run("config", "validate", "-", stdin=text)  # type: ignore[misc]


def command_lines(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    while True:
        words = list(draw.choice(LINES))
        for at in draw.sample(range(len(words)), draw.randint(1, 3)):
            words[at] = (
                mutated(draw, words[at].encode()).replace(b"\0", b"").decode("utf-8", "surrogateescape")
            )
        yield lambda words=words: nobody(words)  # type: ignore[misc]


def nobody(words: Sequence[str]) -> Ran:
    """Run the line; what would reach a machine or a cluster finds nobody there."""
    failing = {name: mock.Mock(side_effect=errors.Unreachable("nobody there")) for name in VERBS}
    with mock.patch.multiple(actions, **failing):
        return run(*words)


KINDS = {"configurations": (configurations, {0, 4}), "command lines": (command_lines, DOCUMENTED)}


def tried(kind: str, count: int) -> None:
    make, codes = KINDS[kind]
    cases = make(random.Random(SEED))  # noqa: S311
    for number in range(count):
        ran = next(cases)()
        where = f"{kind} {number}, KUBEBOOT_SEED={SEED}: {ran.err[-2000:]}"
        assert ran.code in codes, where
        assert "KB_BUG" not in ran.err and "Traceback (most" not in ran.err, where
    print(f"{count} {kind}, no traceback")


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutation_is_a_traceback(kind: str) -> None:
    tried(kind, SOME)


@pytest.mark.chaos
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_mutations(kind: str, tally: Callable[[int, int], None]) -> None:
    tried(kind, MANY)
    tally(MANY, MANY)
