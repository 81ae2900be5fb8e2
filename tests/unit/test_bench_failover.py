"""What the benchmark of failures makes of what its probers saw, and the client that stays where it is."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.bench import failover_main, http2, prober
from tests.bench.failover_cluster import Cluster, Command, is_ready
from tests.bench.failover_events import EVENTS, Event, Measured, late
from tests.bench.failover_probe import Place, Seen, Write
from tests.bench.failover_trial import Trial
from tests.fakes import tls

PLACE = Place("worker-1", "fresh")
CLUSTER = Cluster("lab", ("cp-1",), {})


def seen(*moments: float, wrong: Sequence[float] = (), kept: Sequence[int] | None = None) -> Seen:
    """Writes that were acknowledged at these moments, and some that were not."""
    rows = [Write(n, at, at, None) for n, at in enumerate(moments, 1)]
    rows += [Write(100 + n, at, at, "timed out") for n, at in enumerate(wrong)]
    return Seen(PLACE, tuple(rows), 5.0, frozenset(kept if kept is not None else [r.number for r in rows]))


def trial(name: str, struck: str, *found: Seen, rss: float = 30.0) -> Trial:
    return Trial(next(event for event in EVENTS if event.name == name), struck, found, rss)


def test_a_gap_is_between_two_acknowledged_writes_or_at_an_end() -> None:
    assert seen(0.0, 1.0, 4.0, wrong=[2.0]).gap == 3.0
    assert seen(0.0, 1.0).gap == 4.0
    assert seen().gap == float("inf")
    slow = (Write(1, -1.0, 0.0, "timed out"), Write(2, 2.0, 3.0, None))
    assert Seen(PLACE, slow, 3.5, frozenset()).gap == 4.0


def test_what_was_acknowledged_and_is_not_there_is_lost_and_what_is_there_has_landed() -> None:
    found = seen(1.0, 2.0, wrong=[3.0, 4.0], kept=[1, 100])
    assert (found.lost, found.landed) == ([2], 1)
    assert any("lost: [2]" in problem for problem in trial("etcd-killed-leader", "cp-1", found).problems)


def test_bars_are_for_whom_they_are_for() -> None:
    slow = seen(0.0, 4.9)
    assert trial("power-loss-leader", "cp-1", slow).problems == []
    assert len(trial("apiserver-killed", "cp-1", slow).problems) == 1
    other = Seen(
        Place("cp-3", "fresh"), seen(0.0, 1.0, 4.9, wrong=[2.0]).writes, 5.0, frozenset({1, 2, 3, 100})
    )
    mine = seen(0.0, 2.0, 4.9, wrong=[1.0])
    assert trial("haproxy-killed", "worker-1", mine, other).problems == [
        "cp-3/fresh: 1 errors, and nothing happened there"
    ]
    assert trial("etcd-killed-leader", "cp-1", seen(1.0, 4.9), rss=65.0).problems == ["haproxy holds 65 MiB"]


def test_the_summary_names_the_longest_pole_and_every_missed_bar(capsys: pytest.CaptureFixture[str]) -> None:
    steps = {"etcd/promoted": {"seconds": 9.0}, "node/ready": {"seconds": 1.0}}
    commands = [Command("cp-1", 0.0, 20.0, {}), Command("cp-2", 20.0, 15.0, steps)]
    found = [Measured("x", "cp-1", 1.0, 2.0), late("x", "cp-2", 3.0, 2.0)]
    failover_main.report(found, commands)
    said = capsys.readouterr().out
    assert "35.0 s" in said and "longest pole: cp-2, etcd/promoted (9.0 s)" in said
    assert "MISSED x on cp-2: took 3.0 s, the bar is 2 s" in said
    whole = json.loads(json.dumps(failover_main.summary(found, commands)))
    assert whole["events"]["x"] | {"median": 2.0} == whole["events"]["x"]
    assert (whole["events"]["x"]["held"], whole["events"]["x"]["count"]) == (1, 2)


def test_ready_is_what_is_said_to_be() -> None:
    assert is_ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not is_ready({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    assert not is_ready({"status": {}})


class Http2Server:
    """Answers 201 to a request with a path that it does not find in `silent`."""

    def __init__(self) -> None:
        self.silent = ""
        self.connections: list[ssl.SSLSocket] = []
        issued = tls.issued(tls.authority(), "kube-apiserver", "kubernetes")
        self._tls = tls.context(issued)
        self._tls.set_alpn_protocols(["h2"])
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                self.connections.append(self._tls.wrap_socket(plain, server_side=True))
                threading.Thread(target=self._serve, args=(self.connections[-1],), daemon=True).start()

    def _serve(self, connection: ssl.SSLSocket) -> None:
        state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        state.initiate_connection()
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived) and self._answers(event):
                        state.send_headers(event.stream_id, [(":status", "201")], end_stream=True)
                connection.sendall(state.data_to_send())

    def _answers(self, event: h2.events.RequestReceived) -> bool:
        return (":path", self.silent) not in event.headers

    def close(self) -> None:
        """A client may connect again in this moment: nothing is accepted any more once the rest is closed."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def server() -> Iterator[Http2Server]:
    made = Http2Server()
    yield made
    made.close()


@pytest.fixture
def trust(tmp_path: Path) -> ssl.SSLContext:
    client = tls.issued(tls.authority(), "admin")
    files = {"ca": tls.authority().certificate, "certificate": client.certificate, "key": client.key}
    for name, data in files.items():
        (tmp_path / f"{name}.pem").write_bytes(data)
    return http2.context(*(str(tmp_path / f"{name}.pem") for name in files))


def soon(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


def test_a_timeout_keeps_the_connection_and_its_end_makes_a_new_one(
    server: Http2Server, trust: ssl.SSLContext
) -> None:
    server.silent = "/slow"
    with prober.persistent("127.0.0.1", server.port, trust) as write:
        assert write("/a", b"{}", soon()) == 201
        with pytest.raises(TimeoutError):
            write("/slow", b"{}", soon(0.05))
        assert write("/b", b"{}", soon()) == 201
        assert len(server.connections) == 1
        server.connections[0].shutdown(socket.SHUT_RDWR)
        with pytest.raises((OSError, http2.Ended)):
            write("/c", b"{}", soon())
        assert write("/c", b"{}", soon()) == 201
    assert len(server.connections) == 2


def test_a_write_of_its_own_has_a_connection_of_its_own(server: Http2Server, trust: ssl.SSLContext) -> None:
    with prober.fresh("127.0.0.1", server.port, trust) as write:
        assert [write("/a", b"{}", soon()), write("/a", b"{}", soon())] == [201, 201]
    assert len(server.connections) == 2


def test_events_are_in_rounds_of_one_each_and_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[tuple[str, int]] = []

    def one(cluster: object, event: Event, number: int) -> list[Measured]:
        began.append((event.name, number))
        return [late(event.name, "cp-1", 1.0, 2.0)]

    monkeypatch.setattr(failover_main, "one", one)
    names = ("freeze-leader", "haproxy-killed")
    assert len([*failover_main.trials(CLUSTER, names, 2, 1.0)]) == 4
    assert began == [(name, number) for number in range(2) for name in names]
    assert [*failover_main.trials(CLUSTER, names, 2, -1.0)] == []
    assert len([*failover_main.trials(CLUSTER, names, None, 1.0)]) == 10
