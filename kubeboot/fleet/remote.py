"""A person's own command on machines of a fleet, side by side."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import BinaryIO, cast

from kubeboot import errors
from kubeboot.engine.events import HostFinished
from kubeboot.fleet import logins, reach
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders_fleet import ExecOptions
from kubeboot.fleet.reach import Reached
from kubeboot.host.local import LocalHost
from kubeboot.host.process import run
from kubeboot.host.ssh.host import SshHost
from kubeboot.inventory.model import Machine

Say = Callable[[str, str, bool], None]
"""(machine, line, whether it was on stderr)."""


class Lines(io.RawIOBase):
    """Bytes in, whole lines out."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        given = bytes(cast(bytes, data))
        *lines, self._rest = (self._rest + given).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))
        return len(given)

    def end(self) -> None:
        """The last line need not end in a newline."""
        if self._rest:
            self._say(self._rest.decode(errors="replace"))
            self._rest = b""


def execute(
    wanted: ExecOptions, say: Say, opener: logins.Open = logins.open_host
) -> tuple[HostFinished, ...]:
    """Run it on all of them at once. A machine is `failed` when the command's status is not 0."""
    machines = wanted.inventory.limited(wanted.limit)
    lock = threading.Lock()
    ledger = Ledger(lambda event: None)
    with reach.approach(machines, lambda event: None, opener) as way:

        def one(machine: Machine) -> HostFinished:
            who = way.reach(machine)
            return _one(who, wanted, lambda line, wrong: _locked(lock, say, who.name, line, wrong))

        ends, failed = reach.each({machine.name: machine for machine in machines}, one)
    ledger.fail(failed)
    for end in ends.values():
        ledger.add(end)
    return ledger.ends(machine.name for machine in machines)


def _locked(lock: threading.Lock, say: Say, name: str, line: str, wrong: bool) -> None:
    with lock:
        say(name, line, wrong)


def _one(who: Reached, wanted: ExecOptions, say: Callable[[str, bool], None]) -> HostFinished:
    out, err = Lines(lambda line: say(line, False)), Lines(lambda line: say(line, True))
    status = _run(who, wanted, cast(BinaryIO, out), cast(BinaryIO, err))
    out.end()
    err.end()
    if status == 0:
        return HostFinished(who.name, "ok")
    return HostFinished(who.name, "failed", message=f"ended with status {status}", reason="KB_COMMAND")


def _run(who: Reached, wanted: ExecOptions, out: BinaryIO, err: BinaryIO) -> int:
    if isinstance(who.host, SshHost):
        return who.host.connection.stream(wanted.argv, None, out, err, root=wanted.root)
    if isinstance(who.host, LocalHost):
        done = run(wanted.argv, (), wanted.deadline)
        out.write(done.out)
        err.write(done.err)
        return done.status
    raise errors.UsageProblem(f"{who.name}: commands run over SSH or here only")
