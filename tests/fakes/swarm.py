"""Many machines behind SSH servers of their own process: one port, and an address of 127.0.0.0/8 for each.

What a machine answers was seen on this computer: each command that only looks is run here once, and all
tell its answer. Their names, machine ids and addresses are their own; their keys come from a small pool.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import random
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kubeboot.host import shell

KEYS = 8
USER = "root"
_ENV = 3
"""`env`, the locale and the search path come before every command."""
_BASE = 1 << 16
"""Machine 1 is 127.1.0.1."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: bytes


def address(number: int) -> str:
    """Where machine `number` is."""
    return str(socket.inet_ntoa((0x7F000000 + _BASE + number).to_bytes(4, "big")))


def number_of(address: str) -> int:
    """The machine that an address belongs to."""
    return int.from_bytes(socket.inet_aton(address), "big") - 0x7F000000 - _BASE


NO_UNIT = Answer(
    0,
    b"MainPID=0\nNRestarts=0\nResult=success\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
    b"NeedDaemonReload=no\nENVIRON\n",
)
"""As systemd tells of a unit that is not installed."""


@functools.cache
def _ran(argv: tuple[str, ...], stdin: bytes) -> Answer:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    return Answer(done.returncode, done.stdout)


_LOOKING = threading.Lock()


def looked(argv: tuple[str, ...], stdin: bytes = b"") -> Answer:
    """What this computer says, asked once; it need not have systemd."""
    if argv[2:3] == (shell.UNIT,):
        return NO_UNIT
    with _LOOKING:
        return _ran(argv, stdin)


@functools.lru_cache(maxsize=256)
def answered(command: str) -> Answer:
    """The answer to a command line; of a batch, each command is looked up by itself."""
    argv = tuple(shlex.split(command))[_ENV:]
    if argv[:3] != ("sh", "-c", shell.BATCH):
        return looked(argv)
    return Answer(0, b"".join(_line(one) for one in _commands(argv[4:])))


def _commands(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    while words:
        count = int(words[0])
        yield words[1 : count + 1]
        words = words[count + 1 :]


def _line(argv: tuple[str, ...]) -> bytes:
    import base64

    found = looked(argv)
    return base64.b64encode(found.out) + f" {found.status}\n".encode()


def facts(number: int, stdin: bytes) -> Answer:
    """This computer's, under the machine's own name and address."""
    own = {
        b"hostname": f"m-{number}",
        b"machine_id": f"{number:032x}",
        b"nic": f"2: eth0 inet {address(number)}/8 brd 127.255.255.255 scope global eth0",
        b"default": "default via 127.0.0.1 dev eth0",
    }
    lines = looked(("sh", "-s"), stdin).out.splitlines()
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
            given = channel.makefile("rb").read()  # to its end: by then the request itself has been answered
            time.sleep(self._late)
            found = facts(self._number, given) if given else answered(command)
            channel.sendall(found.out)
            channel.send_exit_status(found.status)
            channel.close()


def serve(port: int, keys: Sequence[paramiko.PKey], latest: float) -> None:
    """Answer on all addresses; a machine is as late as its number says, up to `latest` seconds."""
    with socket.create_server(("0.0.0.0", port), backlog=1024) as server:  # noqa: S104 - 127.0.0.0/8
        print("ready", flush=True)
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_welcome, args=(sock, keys, latest), daemon=True).start()


def _welcome(sock: socket.socket, keys: Sequence[paramiko.PKey], latest: float) -> None:
    number = number_of(sock.getsockname()[0])
    late = random.Random(number).uniform(0, latest)  # noqa: S311 - no secret
    time.sleep(late)
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        transport = paramiko.Transport(sock)
        transport.add_server_key(keys[number % len(keys)])
        transport.start_server(threading.Event(), Session(number, late))


def make_keys(folder: Path) -> None:
    """The servers' pool and the client's own."""
    for name in (*(f"host-{number}" for number in range(KEYS)), "client"):
        private, format = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        key = ed25519.Ed25519PrivateKey.generate()
        path = folder / name
        path.write_bytes(key.private_bytes(private, format, serialization.NoEncryption()))
        path.chmod(0o600)


def read_keys(folder: Path) -> list[paramiko.PKey]:
    """The servers' pool."""
    texts = ((folder / f"host-{number}").read_text() for number in range(KEYS))
    return [paramiko.Ed25519Key.from_private_key(io.StringIO(text)) for text in texts]


def main(argv: Sequence[str]) -> None:
    """One of the servers' processes; it ends with its standard input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("latest", type=float)
    given = parser.parse_args(argv)
    serving = threading.Thread(
        target=serve, args=(given.port, read_keys(given.folder), given.latest), daemon=True
    )
    serving.start()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
