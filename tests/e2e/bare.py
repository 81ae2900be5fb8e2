"""A real etcd and kube-apiserver on loopback, nothing else: what fakes of the API are held against.

Both binaries are those that `vagrant/lab build` has made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lablib import cache, lock

from kubeboot.kube import client
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import build, pem, table

WAIT = 60.0
ADVERTISED = "192.0.2.10"
"""Not the loopback address, which the API refuses as an endpoint."""


@dataclasses.dataclass(frozen=True)
class Bare:
    """A running API server: where it is, and who can be made to trust it."""

    port: int
    authority: build.Pair

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def endpoint(self, user: str, *groups: str) -> Endpoint:
        """How a user of these groups talks to it."""
        pair = issue(self.authority, table.Profile(user, groups))
        return Endpoint(self.server, self.authority.certificate, pair.certificate, pair.key)

    def client(self, user: str = "root", *groups: str) -> client.Client:
        return client.connect(self.endpoint(user, *(groups or ("system:masters",))))


def binary(name: str) -> Path:
    """One of the lab's executables; FileNotFoundError before `vagrant/lab build`."""
    each = lock.load().executables[name]
    found = cache.entry(each.name, each.key) / each.name
    if not found.exists():
        raise FileNotFoundError(f"{found}: run vagrant/lab build")
    return found


def authority(name: str) -> build.Pair:
    key = build.new_key()
    return build.Pair(build.authority(name, key, days=1, at=build.now()), pem.encode_key(key))


def issue(signer: build.Pair, profile: table.Profile) -> build.Pair:
    key = build.new_key()
    made = build.certificate(profile, key.public_key(), signer, days=1, at=build.now())
    return build.Pair(made, pem.encode_key(key))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[Bare]:
    """An API server of its own for one test session."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        home = Path(name)
        bare = Bare(free_port(), authority("kubernetes"))
        etcd_port = free_port()
        _write_pki(home, bare.authority)
        for command in (
            _etcd(home, etcd_port),
            _apiserver(home, etcd_port, bare.port),
        ):
            stack.enter_context(_process(command, home))
        _await_ready(bare, home)
        yield bare


def _write_pki(home: Path, ca: build.Pair) -> None:
    names = (table.SERVER_NAME, "localhost", "127.0.0.1")
    server = issue(ca, table.Profile("kube-apiserver", usages=table.SERVER, names=names))
    account = build.new_key()
    files = {
        "ca.crt": ca.certificate,
        "server.crt": server.certificate,
        "server.key": server.key,
        "sa.key": pem.encode_key(account),
        "sa.pub": pem.encode_public(account.public_key()),
    }
    for file, data in files.items():
        (home / file).write_bytes(data)


def _etcd(home: Path, port: int) -> list[str]:
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return [
        str(binary("etcd")), f"--data-dir={home}/etcd", "--unsafe-no-fsync",
        f"--listen-client-urls={client_url}", f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
    ]  # fmt: skip


def _apiserver(home: Path, etcd_port: int, port: int) -> list[str]:
    return [
        str(binary("kube-apiserver")), f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}", "--bind-address=127.0.0.1", f"--advertise-address={ADVERTISED}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth",
        f"--client-ca-file={home}/ca.crt", f"--tls-cert-file={home}/server.crt",
        f"--tls-private-key-file={home}/server.key", f"--service-account-key-file={home}/sa.pub",
        f"--service-account-signing-key-file={home}/sa.key", "--service-cluster-ip-range=10.96.0.0/12",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    ]  # fmt: skip


@contextlib.contextmanager
def _process(command: list[str], home: Path) -> Iterator[None]:
    with (home / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def _await_ready(bare: Bare, home: Path) -> None:
    end = time.monotonic() + WAIT
    with contextlib.closing(bare.client()) as api:
        while (last := api.ready()) is not None:
            if time.monotonic() > end:
                raise TimeoutError(f"{last}\n{(home / 'kube-apiserver.log').read_text()[-3000:]}")
            time.sleep(0.1)
