"""A real OpenSSH server on loopback, for as long as a test wants it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fakes import keys, ports

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
SetEnv HOME={folder} {environment}
{more}
"""
CLIENT = """\
Host {name}
  HostName 127.0.0.1
  User {user}
  Port {port}
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
  IdentityFile {folder}/client_key
  IdentitiesOnly yes
"""
LISTENS = "Server listening on "


class Sshd:
    """Knows its port, its files and an ssh-config for getting in."""

    def __init__(self, folder: Path, port: int, name: str, more: str, environment: str) -> None:
        self.folder, self.port, self.name = folder, port, name
        folder.mkdir(parents=True, exist_ok=True)
        for key in ("host_key", "client_key"):
            self.make_key(key)
        shutil.copy(folder / "client_key.pub", folder / "authorized_keys")
        self.know()
        values = {"port": self.port, "folder": folder, "more": more, "environment": environment}
        config = CONFIG.format(**values)
        (folder / "sshd_config").write_text(config)
        self._addresses = config.count("ListenAddress")
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    def make_key(self, name: str, passphrase: str = "") -> None:
        """A fresh Ed25519 pair in the server's folder."""
        keys.make(self.folder / name, passphrase)

    def know(self) -> None:
        """Write the present host key to the client's known hosts."""
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}\n")

    @property
    def ssh_config(self) -> str:
        """For the client, in the form of `vagrant ssh-config`."""
        return CLIENT.format(name=self.name, user=getpass.getuser(), port=self.port, folder=self.folder)

    def start(self) -> None:
        """Start, and wait until it listens."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/sshd"
        argv = [sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(argv, stderr=log, start_new_session=True)
        log.close()
        while (said := (self.folder / "log").read_text()).count(LISTENS) < self._addresses:
            if self._process.poll() is not None:
                raise RuntimeError(f"sshd ended: {said}")
            time.sleep(0.002)

    def drop(self) -> None:
        """End every session, as a reboot does; the server goes on."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self._frozen:
            _end(self._frozen.pop())

    def freeze(self) -> None:
        """Make every session stall; the sockets stay open."""
        for pid in self.sessions():
            self._frozen.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGSTOP)

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        assert self._process is not None
        return _below(self._process.pid)

    def stop(self) -> None:
        """End the server and every session."""
        if self._process is not None:
            self.drop()
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def running(folder: Path, name: str = "machine", more: str = "", environment: str = "") -> Iterator[Sshd]:
    """A server that runs within the block, and may be stopped and started again at its port."""
    with ports.kept() as port:
        sshd = Sshd(folder, port, name, more, environment)
        sshd.start()
        try:
            yield sshd
        finally:
            sshd.stop()


def _end(frozen: int) -> None:
    """By its descriptor: what is stopped outlives the session that would have ended it."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(frozen, signal.SIGKILL)
    os.close(frozen)


def _below(parent: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(children.get(parent, ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found
