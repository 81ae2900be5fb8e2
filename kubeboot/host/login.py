"""Getting in: ssh-config, keys, gateways and host keys, by fabric; a clear error for each way it fails."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fabric
import paramiko

from kubeboot import errors

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # or it would write to stderr


@dataclasses.dataclass(frozen=True)
class Deadlines:
    """Seconds. After `idle` without a byte the other side must answer a question within `answer`."""

    connect: float = 10.0
    banner: float = 15.0
    auth: float = 20.0
    idle: float = 20.0
    answer: float = 10.0
    keepalive: int = 15


@dataclasses.dataclass(frozen=True)
class HostKeys:
    """Whom to believe. A key that differs from a known one is always refused.

    `trust` is asked about an unknown one with the host's name and the key's fingerprint.
    """

    files: tuple[Path, ...] = ()
    trust: Callable[[str, str], bool] | None = None


ANY_HOST_KEY = HostKeys(trust=lambda host, fingerprint: True)
"""For throw-away machines whose keys nobody can know: never for a real one."""


@dataclasses.dataclass(frozen=True)
class Login:
    """How to reach one machine. What is None comes from the ssh-config `config`, or ssh's defaults."""

    name: str
    config: str | None = None
    host: str | None = None
    user: str | None = None
    port: int | None = None
    key_files: tuple[str, ...] = ()
    password: str | None = dataclasses.field(default=None, repr=False)
    passphrase: str | None = dataclasses.field(default=None, repr=False)
    host_keys: HostKeys | None = None
    deadlines: Deadlines = Deadlines()

    def connection(self) -> fabric.Connection:
        """Fabric's connection with our policy, not yet open."""
        made = fabric.Connection(
            self.host or self.name,
            user=self.user,
            port=self.port,
            config=self._fabric_config(),
            connect_timeout=int(self.deadlines.connect),
            connect_kwargs={"key_filename": list(self.key_files)},
        )
        for hop in _hops(made):
            hop.connect_kwargs.update(self._connect_options(hop.ssh_config))
            self._believe(hop)
        return made

    def _fabric_config(self) -> fabric.Config:
        """The given ssh-config alone, or the user's and the system's; never fabric's own files."""
        if self.config is None:
            config = fabric.Config(lazy=True)
            config.load_ssh_config()
            return config
        given = paramiko.SSHConfig.from_file(io.StringIO(self.config))
        return fabric.Config(lazy=True, ssh_config=given)

    def _connect_options(self, ssh_config: dict[str, Any]) -> dict[str, Any]:
        only = ssh_config.get("identitiesonly") == "yes"
        return {
            "banner_timeout": self.deadlines.banner,
            "auth_timeout": self.deadlines.auth,
            "channel_timeout": self.deadlines.connect,
            "password": self.password,
            "passphrase": self.passphrase,
            "allow_agent": not only,
            "look_for_keys": not only and not self.key_files,
        }

    def _believe(self, hop: fabric.Connection) -> None:
        keys = self.host_keys or _configured(hop.ssh_config)
        for file in keys.files:
            if file.exists():
                hop.client.load_system_host_keys(str(file))
        hop.client.set_missing_host_key_policy(_Policy(keys.trust))


def _hops(connection: fabric.Connection) -> Iterator[fabric.Connection]:
    """The connection and the gateways before it."""
    hop: Any = connection
    while isinstance(hop, fabric.Connection):
        yield hop
        hop = hop.gateway


def _configured(ssh_config: dict[str, Any]) -> HostKeys:
    """ssh's known-hosts files. Vagrant's way of saying that keys cannot be known is understood."""
    names = ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts").split()
    if names == ["/dev/null"] and ssh_config.get("stricthostkeychecking") == "no":
        return ANY_HOST_KEY
    return HostKeys(tuple(Path(name).expanduser() for name in (*names, "/etc/ssh/ssh_known_hosts")))


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -lf` prints it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return f"{key.get_name()} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


class _Unknown(paramiko.SSHException):
    """The host key is not known."""


@dataclasses.dataclass(frozen=True)
class _Policy(paramiko.MissingHostKeyPolicy):
    trust: Callable[[str, str], bool] | None

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if self.trust is None or not self.trust(hostname, fingerprint(key)):
            raise _Unknown(f"{hostname} shows an unknown host key {fingerprint(key)}")
        client.get_host_keys().add(hostname, key.get_name(), key)


def changed_key(err: paramiko.BadHostKeyException, name: str, address: str) -> errors.Unreachable:
    """Another key than the known one: stop, whatever the policy."""
    got, known = fingerprint(err.key), fingerprint(err.expected_key)
    return errors.Unreachable(
        f"{name}: {address} shows the host key {got}, known is {known}",
        hint="somebody may be in between; if the machine was made anew, remove its old key first",
        reason="KB_HOST_KEY",
        host=name,
    )


def explain(err: BaseException, name: str, address: str) -> errors.Unreachable:
    """What stopped a login, and what to do about it."""
    meant = next((kind for words, kind in _REALLY.items() if words in str(err)), type(err))
    for kind, (reason, message, hint) in _FAILURES.items():
        if issubclass(meant, kind):
            text = message.format(at=address, err=str(err) or type(err).__name__)
            return errors.Unreachable(f"{name}: {text}", hint=hint, reason=reason, host=name)
    raise err


_REALLY: dict[str, type[BaseException]] = {
    "saw EOF": EOFError,
    "No existing session": EOFError,
    "No authentication methods": paramiko.AuthenticationException,
}
"""Words of paramiko's that belong to another kind of failure than their class says."""

_NETWORK_HINT = "check the address, the port and the firewalls, and that sshd runs there"

_FAILURES: dict[type[BaseException], tuple[str, str, str]] = {
    _Unknown: (
        "KB_HOST_KEY",
        "{err}",
        "compare the fingerprint with the machine's own, then add it to the known-hosts file",
    ),
    paramiko.PasswordRequiredException: (
        "KB_AUTH",
        "the private key is encrypted",
        "give its passphrase, or load it into ssh-agent",
    ),
    paramiko.AuthenticationException: (
        "KB_AUTH",
        "{at} refuses the login: {err}",
        "check the user and the key; `ssh -v` shows what is tried",
    ),
    socket.gaierror: (
        "KB_UNREACHABLE",
        "the name of {at} cannot be resolved",
        "check the spelling, or give an address",
    ),
    paramiko.ssh_exception.NoValidConnectionsError: ("KB_UNREACHABLE", "{err}", _NETWORK_HINT),
    ConnectionError: ("KB_UNREACHABLE", "{at}: {err}", _NETWORK_HINT),
    TimeoutError: ("KB_UNREACHABLE", "{at} does not answer", _NETWORK_HINT),
    paramiko.SSHException: (
        "KB_UNREACHABLE",
        "{at}: {err}",
        "sshd may be starting, or refuse so many logins at once (MaxStartups)",
    ),
    EOFError: ("KB_UNREACHABLE", "{at} closed the connection during login", _NETWORK_HINT),
    OSError: ("KB_UNREACHABLE", "{at}: {err}", _NETWORK_HINT),
}
