"""What nobody thought of: configurations, command lines, files and variables, mutated.

No traceback, a documented exit code, nothing changed. A thousand in every run; a hundred thousand with
--chaos, the count printed. KUBEBOOT_SEED draws others.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot.artifacts import pack
from kubeboot.config import etcd_access
from kubeboot.config.spec import ClusterSpec
from tests.fakes import tls
from tests.unit import bundle_support, malformed, malformed_runs, zoo
from tests.unit.cli_support import Ran, run

SEED = int(os.environ.get("KUBEBOOT_SEED", "1"))
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 130}
"""Exit codes; those of a configuration are 0 and 4."""
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
VARIABLES = (
    "KUBEBOOT_TOKEN", "KUBEBOOT_CERTIFICATE_KEY", "KUBEBOOT_CONFIG", "KUBEBOOT_POD_NETWORK_CIDR",
    "KUBEBOOT_OUTPUT",
    "KUBEBOOT_APISERVER_BIND_PORT", "KUBEBOOT_TIMEOUT_SCALE", "KUBEBOOT_DRY_RUN", "KUBEBOOT_NODE_NAME",
    "KUBEBOOT_SKIP_PHASES", "KUBEBOOT_FAIL", "COLUMNS", "LINES", "TERM", "LANG", "LC_ALL", "HOME", "NO_COLOR",
    "FORCE_COLOR", "PATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HTTPS_PROXY", "NO_PROXY", "TZ",
)  # fmt: skip
CA = tls.authority("etcd-ca")
INVITED = etcd_access.Invitation(("https://192.0.2.11:2379",), CA.certificate, CA.key, ClusterSpec())


def whole() -> dict[str, list[bytes]]:
    """For each way of giving a file some that are right, or nearly so."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bundle"
        pack.write(path, bundle_support.CONTENTS)
        bundle = path.read_bytes()
    near = {how: [zoo.CONTENTS[name] for name in names] for how, names in NEAR.items()}
    known = {"etcd-join": etcd_access.encode(INVITED), "bundle-show": bundle, "list-bundle": bundle}
    return {how: [*texts, *([known[how]] if how in known else [])] for how, texts in near.items()}


NEAR = {
    "kubeconfig": ["kc-sni-bad", "kc-cert-word", "kc-token-file", "kc-zone", "kc-exec"],
    "external-etcd": ["inv-access", "etcd-endpoints-http"],
    "etcd-join": ["etcd-other-kind", "inv-cluster-field"],
    "bundle-show": ["tar-layout"],
    "list-bundle": ["tar-layout"],
    "lock": ["lock-sum", "lock-image"],
    "snapshot": ["snapshot-loop", "snapshot-sum-only"],
    "token-file": ["token-two"],
    "key-file": ["key-two"],
    "policy": ["yaml-bomb", "kc-empty-map"],
    "admission": ["yaml-merge", "kc-empty-map"],
}


def mutated(draw: random.Random, data: bytes, most: int = 5000) -> bytes:
    """One to four cuts, repetitions, foreign pieces or changed bytes."""
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randint(0, len(data)) for _ in range(2))
        middle = draw.choice((b"", data[at:to] * 2, draw.choice(PIECES), draw.randbytes(draw.randint(1, 3))))
        data = data[:at] + middle + data[draw.choice((at, to)) :]
    return data[:most]


def spoilt(draw: random.Random, word: str) -> str:
    """A word of a command line, or of the environment."""
    return mutated(draw, word.encode()).replace(b"\0", b"").decode("utf-8", "surrogateescape")


def configurations(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    while True:
        text = mutated(draw, draw.choice(malformed.CASES))
        yield lambda text=text: run("config", "validate", "-", stdin=text)  # type: ignore[misc]


def command_lines(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    while True:
        words = list(draw.choice(LINES))
        for at in draw.sample(range(len(words)), draw.randint(1, 3)):
            words[at] = spoilt(draw, words[at])
        yield lambda words=words: malformed_runs.untouched(words)  # type: ignore[misc]


def variables(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    while True:
        names = draw.sample(VARIABLES, draw.randint(1, 3))
        env = {
            name: spoilt(draw, draw.choice((TOKEN, "80", "10.0.0.0/8", "/nonexistent/a"))) for name in names
        }
        words = draw.choice(LINES)
        yield lambda words=words, env=env: malformed_runs.untouched(words, env=env)  # type: ignore[misc]


def files(draw: random.Random) -> Iterator[Callable[[], Ran]]:
    known = whole()
    with tempfile.NamedTemporaryFile() as file:
        while True:
            how = draw.choice(list(known))
            Path(file.name).write_bytes(mutated(draw, draw.choice(known[how]), 50_000))
            yield lambda how=how: malformed_runs.given(how, os.fsencode(file.name))  # type: ignore[misc]


KINDS = {
    "configurations": (configurations, {0, 4}, 250, 40_000),
    "command lines": (command_lines, DOCUMENTED, 250, 30_000),
    "variables": (variables, DOCUMENTED, 150, 10_000),
    "files": (files, {0, 1, 2, 4, 5}, 350, 25_000),
}
"""What makes them, with which exit codes, how many of them in every run and in a long one."""


def tried(kind: str, count: int) -> None:
    make, codes, *_ = KINDS[kind]
    cases = make(random.Random(SEED))  # noqa: S311
    for number in range(count):
        ran = next(cases)()
        where = f"{kind} {number}, KUBEBOOT_SEED={SEED}: {ran.err[-2000:]}"
        assert ran.code in codes, where
        assert "KB_BUG" not in ran.err and "Traceback (most" not in ran.err, where
    print(f"{count} {kind}, no traceback")


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutation_is_a_traceback(kind: str) -> None:
    tried(kind, KINDS[kind][2])


@pytest.mark.chaos
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_mutations(kind: str, tally: Callable[[int, int], None]) -> None:
    many = KINDS[kind][3]
    tried(kind, many)
    tally(many, many)


def test_a_hundred_thousand_are_that_many() -> None:
    assert sum(many for _, _, _, many in KINDS.values()) > 100_000
