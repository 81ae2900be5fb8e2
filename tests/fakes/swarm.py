"""Many machines behind SSH servers in processes of their own: few ports, an address of 127.0.0.0/8 for each.

What a machine answers was seen on this computer: each command that only looks is run here once, and all tell
its answer. Their names, machine ids and addresses are their own; their keys come from a small pool.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import io
import multiprocessing
import random
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from ctypes import c_int
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import paramiko

from kubeboot.host.shell import looks, runners
from tests.fakes import keys
from tests.fakes import ports as free

KEYS = 8
ALL = "0.0.0.0"  # noqa: S104 - the machines' addresses are of 127.0.0.0/8
_ENV = 3
"""`env`, the locale and the search path come before every command."""
_FIRST = (127 << 24) + (1 << 16)
NO_UNIT = (
    b"MainPID=0\nNRestarts=0\nResult=success\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
    b"NeedDaemonReload=no\nENVIRON\n"
)
"""As systemd tells of a unit that is not installed; this computer need not have systemd."""
_SPAWN = multiprocessing.get_context("spawn")


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: bytes


def address(number: int) -> str:
    """Where machine `number` is; the first is 127.1.0.1."""
    return socket.inet_ntoa((_FIRST + number).to_bytes(4, "big"))


def number_of(where: str) -> int:
    """The machine that an address belongs to."""
    return int.from_bytes(socket.inet_aton(where), "big") - _FIRST


@functools.cache
def _ran(argv: tuple[str, ...], stdin: bytes) -> Answer:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    return Answer(done.returncode, done.stdout)


_LOOKING = threading.Lock()


def looked(argv: tuple[str, ...], stdin: bytes = b"") -> Answer:
    """What this computer says, asked once."""
    if argv[2:3] == (looks.UNIT,):
        return Answer(0, NO_UNIT)
    with _LOOKING:
        return _ran(argv, stdin)


def answered(number: int, command: str, given: bytes) -> Answer:
    """The answer to a command line; of a batch, each command is looked up by itself."""
    argv = tuple(shlex.split(command))
    argv = argv[_ENV:] if argv[:1] == ("env",) else argv
    if argv[:3] == ("sh", "-c", runners.BATCH):
        mark = given.decode().strip()
        return Answer(0, b"".join(_marked(mark, one) for one in _commands(argv[4:])))
    return facts(number, given) if given else looked(argv)


def _commands(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    while words:
        count = int(words[0])
        yield words[1 : count + 1]
        words = words[count + 1 :]


def _marked(mark: str, argv: tuple[str, ...]) -> bytes:
    found = looked(argv)
    return found.out + f"{mark}{found.status}\n".encode()


def facts(number: int, probe: bytes) -> Answer:
    """This computer's, under the machine's own name and address."""
    own = {
        b"hostname": f"m-{number}",
        b"machine_id": f"{number:032x}",
        b"clock": f"{time.time():.9f}",
        b"nic": f"2: eth0 inet {address(number)}/8 brd 127.255.255.255 scope global eth0",
        b"default": "default via 127.0.0.1 dev eth0",
    }
    lines = looked(("sh", "-s"), probe).out.splitlines()
    kept = [line for line in lines if line.partition(b"=")[0] not in own]
    return Answer(0, b"\n".join((*(key + f"={value}".encode() for key, value in own.items()), *kept)) + b"\n")


class Session(paramiko.ServerInterface):
    """One connection to one machine; every answer is late."""

    def __init__(self, number: int, late: float) -> None:
        self._number = number
        self._late = late

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        time.sleep(self._late)
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        """Nothing listens on a machine that is no node yet."""
        return int(paramiko.common.OPEN_FAILED_CONNECT_FAILED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=(channel, command.decode()), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel, command: str) -> None:
        with contextlib.suppress(OSError, EOFError):
            (self._stand if runners.STANDING in shlex.split(command) else self._one)(channel, command)

    def _one(self, channel: paramiko.Channel, command: str) -> None:
        given = channel.makefile("rb").read()  # to its end: by then the request itself has been answered
        time.sleep(self._late)
        found = answered(self._number, command, given)
        channel.sendall(found.out)
        channel.send_exit_status(found.status)
        channel.close()

    def _stand(self, channel: paramiko.Channel, _: str) -> None:
        """A root shell that stays: commands with their sizes, each with its input in it, after the mark."""
        lines = channel.makefile("rb")
        mark = lines.readline().decode().strip()
        while size := lines.readline():
            command, given = _told(lines.read(int(size)).decode().removesuffix(f" #{mark}"))
            time.sleep(self._late)
            found = answered(self._number, command, given)
            channel.sendall(found.out + f"{mark}{found.status}\n".encode())
            channel.sendall_stderr(f"{mark}\n".encode())


def _told(line: str) -> tuple[str, bytes]:
    """The command of a standing shell's line, and its input."""
    words = line.removeprefix("printf %s ")
    if words == line:
        return line.removeprefix("exec "), b""
    data, _, command = words.partition(" | base64 -d | ")
    return command, base64.b64decode(data)


@dataclasses.dataclass(frozen=True)
class Count:
    """How many connections are open now, and were at most, over all processes.

    What a client has closed does not count, whether or not its server has come to notice.
    """

    now: Any = dataclasses.field(default_factory=lambda: _SPAWN.Value(c_int, 0))
    most: Any = dataclasses.field(default_factory=lambda: _SPAWN.Value(c_int, 0, lock=False))
    mine: set[socket.socket] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def one(self, sock: socket.socket) -> Iterator[None]:
        with self.now.get_lock():
            self._leave(*(other for other in self.mine if not _is_established(other)))
            self.mine.add(sock)
            self.now.value += 1
            self.most.value = max(self.most.value, self.now.value)
        try:
            yield
        finally:
            with self.now.get_lock():
                self._leave(sock)

    def _leave(self, *gone: socket.socket) -> None:
        self.now.value -= len(self.mine.intersection(gone))
        self.mine.difference_update(gone)


def _is_established(sock: socket.socket) -> bool:
    """By the kernel's state of it; once the other side has closed it is another."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\1"
    except OSError:
        return False


def _serve(port: int, folder: Path, latest: float, count: Count, ready: Event) -> None:
    """One process: all addresses on a port. A machine is as late as its number says, `latest` at most."""
    keys = _read_keys(folder)
    with socket.create_server((ALL, port), backlog=1024) as server:
        ready.set()
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_welcome, args=(sock, keys, latest, count), daemon=True).start()


def _welcome(sock: socket.socket, keys: Sequence[paramiko.PKey], latest: float, count: Count) -> None:
    number = number_of(sock.getsockname()[0])
    late = random.Random(number).uniform(0, latest)  # noqa: S311 - no secret
    with count.one(sock), contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        time.sleep(late)
        transport = paramiko.Transport(sock)
        transport.add_server_key(keys[number % len(keys)])
        transport.start_server(threading.Event(), Session(number, late))
        transport.join()


def _make_keys(folder: Path) -> None:
    for name in (*(f"host-{number}" for number in range(KEYS)), "client"):
        keys.make(folder / name)


def _read_keys(folder: Path) -> list[paramiko.PKey]:
    texts = ((folder / f"host-{number}").read_text() for number in range(KEYS))
    return [paramiko.Ed25519Key.from_private_key(io.StringIO(text)) for text in texts]


@dataclasses.dataclass(frozen=True)
class Swarm:
    """Servers that run; `dead` is a port on which nobody ever answers."""

    folder: Path
    ports: tuple[int, ...]
    dead: int
    count: Count

    def cluster(self, size: int, dead: frozenset[int] = frozenset(), more: str = "") -> Path:
        """A Cluster file of so many machines, three of them control planes, and their known hosts."""
        keys = _read_keys(self.folder)
        known = [
            f"[{address(n)}]:{self.port(n)} {keys[n % KEYS].get_name()} {keys[n % KEYS].get_base64()}\n"
            for n in range(1, size + 1)
        ]
        (self.folder / "known_hosts").write_text("".join(known))
        path = self.folder / "cluster.yaml"
        head = f"apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\ncontrolPlaneEndpoint: k8s.test:8443\n{more}"
        path.write_text(head + "hosts:\n" + "".join(self._host(n, dead) for n in range(1, size + 1)))
        return path

    def port(self, number: int) -> int:
        """Where a machine that lives listens."""
        return self.ports[number % len(self.ports)]

    def _host(self, number: int, dead: frozenset[int]) -> str:
        role = "control-plane" if number <= 3 else "worker"
        port = self.dead if number in dead else self.port(number)
        ssh = f"user: root, port: {port}, keyFile: {self.folder}/client"
        options = f"{{UserKnownHostsFile: {self.folder}/known_hosts, IdentitiesOnly: 'yes'}}"
        where = f"name: m-{number}, role: {role}, address: {address(number)}"
        return f"  - {{{where}, ssh: {{{ssh}, options: {options}}}}}\n"


@contextlib.contextmanager
def running(folder: Path, latest: float = 0.0, processes: int = 2) -> Iterator[Swarm]:
    """Servers in so many processes, whose machines answer up to `latest` seconds late."""
    _make_keys(folder)
    with contextlib.ExitStack() as stack:
        count, ports = Count(), tuple(stack.enter_context(free.kept(ALL)) for _ in range(processes))
        ready = [_SPAWN.Event() for _ in ports]
        for port, event in zip(ports, ready, strict=True):
            server = _SPAWN.Process(target=_serve, args=(port, folder, latest, count, event), daemon=True)
            server.start()
            stack.callback(server.join)
            stack.callback(server.kill)
        if not all(event.wait(120.0) for event in ready):
            raise RuntimeError("the simulated machines have not begun to answer")
        yield Swarm(folder, ports, stack.enter_context(silent()), count)


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port whose queue is full, as behind a firewall that drops: a connection does not come about."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind((ALL, 0))
        server.listen(0)
        port = int(server.getsockname()[1])
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port
