"""The transport to one machine, opened again after it was lost: who waits for that, and how long."""

from __future__ import annotations

import threading
import time

import fabric
import paramiko

from kubeboot import errors
from kubeboot.host.api import Lost
from kubeboot.host.ssh import channel, hostkeys, login, opening, refusals

_AGAIN = "check that the machine runs, then run the same command again"


class Line:
    """Opens when it is first needed, and again after it was lost. Safe to use from several threads.

    A machine that was there is waited for as long as `absence` says, counted from the moment when it was
    missed: this is the only wait for it, whoever asks again.
    """

    def __init__(self, how: login.Login) -> None:
        self._how = how
        self._fabric = how.connection()
        self._opening = threading.Lock()
        self._closed = False
        self._lost_at: float | None = None
        self._gone: tuple[float, errors.Unreachable] | None = None
        self._verified: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """Whom one logs in as."""
        return str(self._fabric.user)

    @property
    def address(self) -> str:
        """Where it leads, as user@host:port."""
        return refusals.address_of(self._fabric)

    def transport(self) -> paramiko.Transport:
        """The open transport; who finds it closed opens it, the others wait."""
        with self._opening:
            if not self._fabric.is_connected:
                self._open()
            found: paramiko.Transport = self._fabric.transport
            return found

    @property
    def has_gates(self) -> bool:
        """Whether it leads through jump hosts that are logged in to here."""
        return isinstance(self._fabric.gateway, fabric.Connection)

    def pass_gates(self) -> None:
        """Open it as far as the last jump host: the machine behind that may be dead."""
        with self._opening:
            if not self._fabric.gateway.is_connected:
                opening.opened(self._how, self._fabric.gateway, self._left())

    def shown_keys(self) -> tuple[str, ...]:
        """The keys that the machine and its gateways were believed with, as a known-hosts file says it."""
        self.transport()
        return tuple(map(_shown, login.hops(self._fabric)))

    @property
    def verified_keys(self) -> tuple[str, ...]:
        """Those of them that were not believed unseen, as of the last time when it was opened."""
        return self._verified

    def alive(self, session: paramiko.Channel) -> None:
        """Any answer will do. Lost when there is none in time."""
        transport, deadlines = session.get_transport(), self._how.deadlines
        try:
            with channel.closing_after(transport, deadlines.answer):
                transport.open_session(timeout=deadlines.answer).close()
        except channel.GONE as err:
            if channel.refused(err, transport):
                return
            channel.hang_up(transport)
            silence = deadlines.idle + deadlines.answer
            raise self.lost(TimeoutError(f"no answer for {silence:g} s")) from None

    def lost(self, err: Exception) -> Lost:
        """The connection has gone, by this error."""
        name, why = self._how.name, str(err) or "it was closed"
        return Lost(f"{name}: lost the connection to {self.address}: {why}", hint=_AGAIN, host=name)

    def close(self) -> None:
        """Close it, and the gateways' connections; that it is not open then is no loss."""
        with self._opening:
            opening.shut(self._fabric)
            self._closed = True

    def _open(self) -> None:
        """Of those that wait for a machine that has not returned, only the first one tries."""
        if self._gone is not None and time.monotonic() < self._gone[0]:
            raise self._gone[1]
        if self._lost_at is None and self._fabric.transport is not None and not self._closed:
            self._lost_at = time.monotonic()
        try:
            opening.opened(self._how, self._fabric, self._left())
        except errors.Unreachable as err:
            if self._lost_at is not None:
                self._gone = (time.monotonic() + self._how.deadlines.connect, err)
            raise
        self._lost_at = self._gone = None
        self._closed = False
        self._verified = tuple(_shown(hop) for hop in login.hops(self._fabric) if self._how.verifies(hop))

    def _left(self) -> float | None:
        """How long a machine that was lost may still take to return; None when it never was there."""
        if self._lost_at is None:
            return None
        return max(0.0, self._lost_at + self._how.deadlines.absence - time.monotonic())


def _shown(hop: fabric.Connection) -> str:
    return hostkeys.line_of(login.known_as(hop), hop.transport.get_remote_server_key())
