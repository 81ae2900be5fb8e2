"""All of upstream on one loopback server: releases with published sums, and every registry."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from kubeboot.artifacts import releases
from kubeboot.artifacts.cache import Cache
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import Known, UserLock
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.releases import Executable, Release
from kubeboot.artifacts.stock import Stock
from kubeboot.artifacts.upstream import Upstream
from kubeboot.artifacts.ways import Ways
from kubeboot.artifacts.web import Limits, Web
from tests.fakes import downloads, registry, tls

HOSTS = ("https://dl.k8s.io", "https://github.com")
REGISTRIES = ("registry.k8s.io", "ghcr.io", "docker.io")


class Internet:
    """What upstream publishes of one release, and who may be asked for it."""

    def __init__(self, release: Release, login: registry.Login = "bearer") -> None:
        self.release = release
        self.files: dict[str, bytes] = {}
        self.registry = registry.Registry(login)
        self.asked: list[str] = []
        self.url = ""
        for executable in release.executables:
            self._publish(executable)
        for name in release.names():
            reference = Reference.parse(name)
            members = {each: f"{each} of {name}".encode() for each in release.members(name)}
            self.registry.add(_path(reference), reference.tag, members or {"bin/it": name.encode()})

    def _publish(self, executable: Executable) -> None:
        if not executable.url:
            return
        data = content(executable)
        if executable.member:
            files = {
                each.member: content(each) for each in self.release.executables if each.url == executable.url
            }
            data = registry.layer(files)
        sha256 = hashlib.sha256(data).hexdigest()
        name = executable.url.rpartition("/")[2]
        text = sha256 if executable.name.startswith("kube") else f"{'0' * 64}  other\n{sha256}  {name}\n"
        self.files |= {_place(executable.url): data, _place(executable.sums): text.encode()}

    def answer(self, request: tls.Request) -> tls.Reply:
        self.asked.append(request.path)
        if request.path.startswith(("/v2/", "/token")):
            return self.registry.answer(request)
        data = self.files.get(request.path)
        kind = {"Content-Type": "application/octet-stream"}
        return tls.Reply(404) if data is None else tls.Reply(200, data, kind)

    @contextlib.contextmanager
    def running(self) -> Iterator[Internet]:
        certificate = tls.issued(downloads.authority(), "internet", "127.0.0.1")
        with tls.Server(self.answer, certificate).running() as server:
            self.url = self.registry.url = server.url
            yield self

    def mirrors(self) -> Mirrors:
        """This server in everybody's place."""
        table = {host: (f"{self.url}/{host.partition('://')[2]}",) for host in HOSTS}
        return Mirrors(table | {f"https://{host}": (f"{self.url}/{host}",) for host in REGISTRIES})


def content(executable: Executable) -> bytes:
    """What an executable consists of here."""
    return f"\x7fELF {executable.name} {executable.version} {executable.url}".encode() * 50


def _place(url: str) -> str:
    return f"/{url.partition('://')[2]}"


def _path(reference: Reference) -> str:
    return f"{reference.host}/{reference.repository}"


@contextlib.contextmanager
def using(root: Path, authority: str, release: Release) -> Iterator[User]:
    """Somebody with an internet of their own."""
    with Internet(release).running() as net:
        user = User(root, net, authority)
        yield user
        user.web.close()


@dataclasses.dataclass
class User:
    """A machine with a cache and a lock of its own."""

    root: Path
    internet: Internet
    authority: str
    credentials: Credentials = dataclasses.field(default_factory=Credentials)
    said: list[str] = dataclasses.field(default_factory=list)
    slept: list[float] = dataclasses.field(default_factory=list)
    web: Web = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.web = Web(self.authority, Limits(30, 30), environ={})

    @property
    def lock(self) -> UserLock:
        return UserLock(self.root / "etc" / "lock.yaml")

    @property
    def cache(self) -> Cache:
        return Cache(self.root / "cache")

    def ways(self, mirrors: Mirrors | None = None, shipped: Known | None = None) -> Ways:
        return Ways(
            web=self.web,
            cache=self.cache,
            lock=self.lock,
            shipped=shipped or Known(),
            mirrors=mirrors or self.internet.mirrors(),
            credentials=self.credentials,
            watch=Watch(said=self.said.append),
            patience=Patience(tries=2, pauses=(0.1,), sleep=self.slept.append),
        )

    def stock(
        self,
        *,
        locked: bool = False,
        peek: bool = False,
        mirrors: Mirrors | None = None,
        shipped: Known | None = None,
    ) -> Stock:
        """Upstream, as this user sees it."""
        return Stock(self.internet.release, Upstream(self.ways(mirrors, shipped), locked=locked, peek=peek))


def a_release(version: str = "v1.37.1", arch: str = "amd64") -> Release:
    return releases.release(version, arch)


def members(chunks: Iterator[bytes]) -> dict[str, bytes]:
    """What is in an archive, by name."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
