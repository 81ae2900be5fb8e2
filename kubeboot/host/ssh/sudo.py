"""Becoming root by sudo's password, which goes over standard input only, and once only."""

from __future__ import annotations

import time

import paramiko

from kubeboot import errors
from kubeboot.host.ssh import questions

ASKS = "kubeboot-asks-for-the-password:"
READY = b"kubeboot-is-root:\n"
_SCRIPT = f'echo {READY.decode().strip()} >&2; exec "$@"'
_TTY = "lift `requiretty` for this user in sudoers (`Defaults:{user} !requiretty`), or log in as root"
_HINT = "let the user run sudo (`{user} ALL=(ALL) ALL` in sudoers), or log in as root"
_WITHOUT = ("a password is required", "a terminal is required", "no askpass")
SILENT = ("sudo", "-n", "--")
"""For who needs no password."""


def asking(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command as root; what is written before it answers `READY` is for sudo, and not for the command."""
    return ("sudo", "-S", "-p", ASKS, "--", "sh", "-c", _SCRIPT, "sh", *argv)


def enter(session: paramiko.Channel, password: str, name: str, user: str, deadline: float) -> bytes:
    """Give the password when it is asked for; answers what the command has said on stderr already.

    SudoPassword when it is refused: nothing but it was sent, and it is not sent twice. EOFError or
    TimeoutError when the connection is what failed.
    """
    said, given, end = b"", False, time.monotonic() + deadline
    session.settimeout(deadline)
    while READY not in said:
        if said.endswith(ASKS.encode()):
            if given:
                raise questions.sudo_password(name, user, _words(said), refused=True)
            session.sendall(f"{password}\n".encode())
            said, given = b"", True
        if time.monotonic() > end:
            raise TimeoutError(f"sudo did not answer for {deadline:g} s")
        more = session.recv_stderr(4096)
        if not more:
            _ended(session, end)
            raise refusal(_words(said) or "sudo ended without a message", name, user, given=given)
        said += more
    return said.partition(READY)[2]


def _ended(session: paramiko.Channel, end: float) -> None:
    """A connection that goes ends stderr too, but leaves no exit status."""
    session.status_event.wait(max(0.0, end - time.monotonic()))
    if session.exit_status < 0:
        raise EOFError("it broke off while sudo was asked")


def refusal(said: str, name: str, user: str, *, given: bool = False) -> errors.Unreachable:
    """What sudo's words mean, and what to do about it."""
    if any(words in said for words in _WITHOUT):
        return questions.sudo_password(name, user, said, refused=given)
    if given and ("try again" in said or "incorrect password" in said):
        return questions.sudo_password(name, user, said, refused=True)
    hint = (_TTY if "tty" in said else _HINT).format(user=user)
    return errors.Unreachable(f"{name}: {said}", hint=hint, reason="KB_SUDO", host=name)


def _words(said: bytes) -> str:
    """sudo's own words, without a lecture and our prompt."""
    lines = said.decode(errors="replace").replace(ASKS, "").strip().splitlines()
    return lines[-1].strip() if lines else ""
