"""Runs in a machine's network namespace: one write after another, until its stdin ends.

prober.py HOST PORT fresh|persistent RUN PEM-DIRECTORY. Write N creates ConfigMap RUN-N and has a second to be
answered. One line of JSON each: N, when it was sent, when it was answered or given up (monotonic clock, which
is one for the whole computer), and what went wrong.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import http2

PATIENCE = 1.0
PAUSE = 0.05
"""Seconds between two writes: gaps are known to this."""
NAMESPACE = "kubeboot-prober"
CREATED = 201

Write = Callable[[str, bytes, float], int]


@contextlib.contextmanager
def fresh(host: str, port: int, tls: ssl.SSLContext) -> Iterator[Write]:
    """A connection for each write."""

    def write(path: str, body: bytes, until: float) -> int:
        with http2.connected(host, port, tls, until) as connection:
            return connection.request("POST", path, body, until)

    yield write


@contextlib.contextmanager
def persistent(host: str, port: int, tls: ssl.SSLContext) -> Iterator[Write]:
    """One connection for all, another only when that one was ended."""
    kept: list[http2.Connection] = []

    def write(path: str, body: bytes, until: float) -> int:
        if not kept:
            kept.append(http2.Connection(host, port, tls, until))
        try:
            return kept[0].request("POST", path, body, until)
        except TimeoutError:
            raise
        except (OSError, http2.Ended):
            kept.pop().close()
            raise

    yield write
    for connection in kept:
        connection.close()


MODES = {"fresh": fresh, "persistent": persistent}


def main() -> None:
    """Write until nobody wants any more."""
    host, port, mode, run, room = sys.argv[1:]
    tls = http2.context(*(f"{room}/{name}.pem" for name in ("ca", "certificate", "key")))
    with MODES[mode](host, int(port), tls) as write:
        for number in itertools.count(1):
            if select.select([sys.stdin], [], [], PAUSE)[0]:
                break
            sent = time.monotonic()
            wrong = one(write, run, number, sent + PATIENCE)
            sys.stdout.write(json.dumps([number, sent, time.monotonic(), wrong]) + "\n")


def one(write: Write, run: str, number: int, until: float) -> str | None:
    """Write number so and so; what kept it from being acknowledged."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{run}-{number}", "labels": {"run": run}},
        "data": {"number": str(number)},
    }
    try:
        status = write(f"/api/v1/namespaces/{NAMESPACE}/configmaps", json.dumps(body).encode(), until)
    except (OSError, http2.Ended) as error:
        return f"{type(error).__name__}: {error}"
    return None if status == CREATED else f"status {status}"


if __name__ == "__main__":
    main()
