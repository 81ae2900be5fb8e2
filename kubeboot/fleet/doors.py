"""The way into machines, with what a person says at it: each question once, the answers in memory only."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.fleet import logins
from kubeboot.host.api import HostTarget
from kubeboot.host.ssh import hostkeys
from kubeboot.host.ssh.questions import LockedKey, SudoPassword, UnknownHostKey
from kubeboot.inventory.model import Machine


class Door:
    """Opens machines. `believe` is shown an unknown host key, and where it would be kept.

    `secret` is asked for what its words name.

    Who is not answered once ("no", None) asks nothing more: what is unanswered stays each machine's error.
    Safe to use from several threads.
    """

    def __init__(
        self,
        known_hosts: Path,
        believe: Callable[[UnknownHostKey, Path], bool],
        secret: Callable[[str], str | None],
        passphrase: str | None = None,
        sudo_password: str | None = None,
        timeout_scale: float = 1.0,
    ) -> None:
        self._believe, self._secret = believe, secret
        self._answers = logins.Answers((known_hosts,), passphrase, sudo_password, timeout_scale)
        self._believed: set[str] = set()
        self._open = True
        self._lock = threading.Lock()

    def __call__(self, machine: Machine) -> HostTarget:
        """The machine, not connected yet."""
        return logins.open_host(machine, self._answers)

    def keep_in(self, known_hosts: Path) -> None:
        """From now on new keys are kept in this file, besides that those of the others are known."""
        files = (*self._answers.known_hosts, known_hosts)
        self._answers = dataclasses.replace(self._answers, known_hosts=files)

    def trust(self, told: Mapping[str, tuple[str, ...]]) -> None:
        """From now on these host keys count too, by name, of machines that no file knows."""
        self._answers = dataclasses.replace(self._answers, told=told)

    def settle(self, error: errors.KubebootError) -> bool:
        """Whether the machine that failed with it is worth another attempt now."""
        with self._lock:
            if isinstance(error, UnknownHostKey):
                return self._key(error)
            if isinstance(error, LockedKey) and not error.refused:
                return self._passphrase(error.file)
            if isinstance(error, SudoPassword) and not error.refused:
                return self._sudo_password(error.user)
            return False

    def _key(self, error: UnknownHostKey) -> bool:
        """Of two machines behind one jump host only the first one asks about that."""
        if error.line in self._believed:
            return True
        file = self._answers.known_hosts[-1]
        self._open = self._open and self._believe(error, file)
        if self._open:
            hostkeys.remember(file, error.line)
            self._believed.add(error.line)
        return self._open

    def _passphrase(self, file: str) -> bool:
        if self._answers.passphrase is None:
            said = self._said(f"the passphrase of {file}")
            self._answers = dataclasses.replace(self._answers, passphrase=said)
        return self._answers.passphrase is not None

    def _sudo_password(self, user: str) -> bool:
        if self._answers.sudo_password is None:
            said = self._said(f"the password of {user} for sudo")
            self._answers = dataclasses.replace(self._answers, sudo_password=said)
        return self._answers.sudo_password is not None

    def _said(self, what: str) -> str | None:
        said = self._secret(what) if self._open else None
        self._open = said is not None
        return said
