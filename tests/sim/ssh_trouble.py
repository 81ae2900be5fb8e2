"""A machine behind a real sshd, trouble on the way to it, and what is to become of a run's real steps."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts.api import Binary
from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Target
from kubeboot.engine.tally import Outcome
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines, Login
from kubeboot.kube.api import NoApi
from kubeboot.steps import basic
from tests.fakes import proxy as proxies
from tests.fakes import sshd as servers
from tests.fakes.proxy import Fault, Proxy
from tests.fakes.sshd import Sshd

DEADLINES = Deadlines(connect=5.0, banner=2.0, auth=10.0, idle=1.5, answer=2.5, handshake=20.0, absence=20.0)
SUDO = """\
[ "$1" = -S ] || { echo "sudo: a password is required" >&2; exit 1; }
prompt=$3
shift 4
echo "We trust you have received the usual lecture." >&2
for attempt in 1 2 3; do
    printf '%s' "$prompt" >&2
    IFS= read -r word || { echo "sudo: no password was provided" >&2; exit 1; }
    echo "$word" >>"$HOME/words"
    [ "$word" != "geheim es" ] || exec "$@"
    echo "Sorry, try again." >&2
done
exit 1
"""


@dataclasses.dataclass(frozen=True)
class Bytes:
    """A source of one binary."""

    data: bytes

    def binary(self, wanted: Binary) -> Iterator[bytes]:
        return (self.data[at : at + 65536] for at in range(0, len(self.data), 65536))


class Scene:
    """One run's machine, its trouble, and what is to become of it."""

    def __init__(self, folder: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.chance = folder, chance
        self.home = folder / "machine"
        self.home.mkdir()
        self.stack = contextlib.ExitStack()
        self.size, self.small = chance.randint(1, 12) << 17, 300
        for name, path in (("HOME", ""), ("PATH", "/journal.jsonl"), ("BEFORE", "/before")):
            monkeypatch.setattr(journal, name, f"{folder}/kubeboot{path}")

    def sshd(self, more: str = "", environment: str = "", name: str = "machine") -> Sshd:
        return self.stack.enter_context(
            servers.running(self.folder / f"sshd-{name}", name, more, environment)
        )

    def proxy(self, target: Sshd, *faults: Fault, **more: object) -> Proxy:
        return self.stack.enter_context(proxies.through(target.port, faults, **more))

    def host(self, sshd: Sshd, proxy: Proxy | None = None, **more: object) -> SshHost:
        port = proxy.port if proxy else sshd.port
        key = " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])
        (sshd.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
        config = sshd.ssh_config.replace(f"Port {sshd.port}", f"Port {port}")
        how = {"deadlines": DEADLINES, **more}
        made = SshHost(Connection(Login(sshd.name, config, **how)))  # type: ignore[arg-type]
        self.stack.callback(made.close)
        return made

    def wanted(self, where: str = "") -> dict[str, bytes]:
        small = {
            f"{self.home}{where}/etc/{n}": self.chance.randbytes(self.small * (n + 1) ** 3) for n in range(4)
        }
        return {f"{self.home}{where}/bin/tool": self.chance.randbytes(self.size), **small}

    def work(self, host: SshHost, wanted: dict[str, bytes]) -> Outcome:
        """All of it, as `up` does it on a machine."""
        book = journal.Journal(host)
        book.begin("up")
        return run(a_plan(wanted), {"machine": Site(Target(host, NoApi()), book)}, lambda event: None)

    def finished(self, wanted: dict[str, bytes]) -> None:
        """Everything is there, and nothing else."""
        there = {str(p): p.read_bytes() for p in self.home.rglob("*") if p.is_file() and not p.is_symlink()}
        assert there == wanted

    def stopped(self, wanted: dict[str, bytes]) -> None:
        """What is there is whole."""
        for path, data in wanted.items():
            assert not Path(path).exists() or Path(path).read_bytes() == data

    def converges(self, host: SshHost) -> None:
        """At once, and a second time with nothing to do but to sweep."""
        wanted = self.wanted()
        outcome = self.work(host, wanted)
        outcome.raise_for_failure()
        assert (self.work(host, wanted).changed, outcome.changed) == (0, len(wanted) + 1)
        self.finished(wanted)

    def ends(self, host: SshHost, wanted: dict[str, bytes], reason: str) -> None:
        """With this reason, and with what to do about it."""
        with pytest.raises(errors.KubebootError) as raised:
            self.work(host, wanted).raise_for_failure()
        assert raised.value.reason == reason, raised.value
        assert raised.value.hint or raised.value.output
        self.stopped(wanted)


def a_plan(wanted: dict[str, bytes]) -> Plan:
    steps: list[object] = []
    for path, data in wanted.items():
        if path.endswith("tool"):
            sum = hashlib.sha256(data).hexdigest()
            binary = Binary("tool", "1.0", sum, len(data), path)
            step: object = basic.EnsureBinary(
                id="tool/install",
                title=path,
                on="machine",
                binary=binary,
                source=Bytes(data),  # type: ignore[arg-type]
            )
            link = f"{path}-link"
            steps.append(basic.EnsureLink(id="tool/link", title=link, on="machine", path=link, target=path))
        else:
            step = basic.EnsureFile(
                id=f"files/{path[-1]}", title=path, on="machine", path=path, data=data, mode=0o600
            )
        steps.append(step)
    return Plan("up", "a machine's files", tuple(steps), {"machine": "worker"})  # type: ignore[arg-type]
