"""Whose key a machine must show: known-hosts files and pins. One that differs is refused, always."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry

from kubeboot import errors
from kubeboot.host.ssh import known_hosts

_FINGERPRINT = "SHA256:"


@dataclasses.dataclass(frozen=True)
class HostKeys:
    """Whom to believe. With `pins` (public keys or SHA256 fingerprints) nothing else counts.

    Of `files` the later ones win. `any`: a throw-away machine, whose key nobody can know. `told` are public
    keys by a machine's name in such files, for those that no file knows.
    """

    files: tuple[Path, ...] = ()
    pins: tuple[str, ...] = ()
    any: bool = False
    told: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def teach(self, client: paramiko.SSHClient, host: str, port: int, listed_as: str) -> None:
        """Let the client know this machine's keys, by its name in the files, and refuse all others."""
        name = known_as(host, port)
        revoked = {key.asbytes() for file in self.files for key in known_hosts.revoked(file, listed_as)}
        for key in self._pinned() if self.pins else tuple(self._listed(listed_as)) or self._told(listed_as):
            if key.asbytes() not in revoked:
                client.get_host_keys().add(name, key.get_name(), key)
        prints = tuple(pin.split()[-1] for pin in self.pins if _FINGERPRINT in pin)
        unasked = self.any and not self.pins
        client.set_missing_host_key_policy(_Policy(listed_as, frozenset(revoked), prints, unasked))

    def _listed(self, name: str) -> Iterator[paramiko.PKey]:
        """Of two of a type in one file the first one counts, as the last one that is taught does."""
        for file in self.files:
            yield from reversed(tuple(known_hosts.find(file, name)))

    def _told(self, name: str) -> Iterator[paramiko.PKey]:
        for text in self.told.get(name, ()):
            with contextlib.suppress(ValueError):  # of a type that is not spoken here: ssh leaves it out too
                yield public_key(text)

    def _pinned(self) -> Iterator[paramiko.PKey]:
        for pin in self.pins:
            if _FINGERPRINT not in pin:
                yield public_key(pin)


def known_as(host: str, port: int) -> str:
    """A machine's name in known-hosts files, unless it has an alias there."""
    return host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}"


def public_key(text: str) -> paramiko.PKey:
    """A line of a `.pub` file; ValueError when it is none."""
    try:
        entry = HostKeyEntry.from_line(f"pin {text.strip()}")
    except paramiko.SSHException:
        entry = None
    if entry is None:
        raise ValueError(f"`{text}` is neither a public key nor a fingerprint (SHA256:…)")
    return entry.key


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -lf` prints it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return f"{key.get_name()} {_FINGERPRINT}{base64.b64encode(digest).decode().rstrip('=')}"


def line_of(name: str, key: paramiko.PKey) -> str:
    """What a known-hosts file says of a key."""
    return f"{name} {key.get_name()} {key.get_base64()}"


def remember(file: Path, line: str) -> None:
    """Add a key to a known-hosts file, durably."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.write(f"{line}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise errors.ConfigInvalid(
            f"{file}: {(error.strerror or '').lower()}",
            hint="set XDG_STATE_HOME to a directory that you may write to",
            reason="KB_HOST_KEY",
        ) from None


class Unknown(paramiko.SSHException):
    """Nobody knows the key that a machine shows. `name` is the one that known-hosts files have it by."""

    def __init__(self, name: str, key: paramiko.PKey) -> None:
        super().__init__(name)
        self.name, self.key = name, key


class Revoked(paramiko.SSHException):
    """A known-hosts file says that the key must not be believed."""

    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("revoked")
        self.key = key


class Differs(paramiko.SSHException):
    """The key is not one of those that are pinned, by their fingerprints."""

    def __init__(self, key: paramiko.PKey, known: str) -> None:
        super().__init__(known)
        self.key, self.known = key, known


@dataclasses.dataclass(frozen=True)
class _Policy(paramiko.MissingHostKeyPolicy):
    """What paramiko asks about a machine of which no key is known."""

    listed_as: str
    revoked: frozenset[bytes]
    prints: tuple[str, ...]
    any: bool

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if key.asbytes() in self.revoked:
            raise Revoked(key)
        if self.prints and fingerprint(key).split()[-1] not in self.prints:
            raise Differs(key, ", ".join(self.prints))
        if not self.prints and not self.any:
            raise Unknown(self.listed_as, key)
        client.get_host_keys().add(hostname, key.get_name(), key)
