"""Getting in: ssh-config, keys, gateways and host keys, by fabric."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import fabric
import paramiko
from paramiko.config import SSH_PORT

from kubeboot.host.ssh import hostkeys
from kubeboot.host.ssh.hostkeys import HostKeys

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # or it would write to stderr

CERTIFICATE = "-cert.pub"
_READING = threading.Lock()
"""Whoever comes second finds what the first one has read."""


@dataclasses.dataclass(frozen=True)
class Deadlines:
    """Seconds. After `idle` without a byte the other side must answer a question within `answer`.

    A refused handshake is tried again for `handshake`, a machine that was there is waited for for `absence`.
    `scale`: how far what others allow is stretched here, commands and dialling.
    """

    connect: float = 10.0
    banner: float = 15.0
    auth: float = 20.0
    idle: float = 20.0
    answer: float = 10.0
    keepalive: int = 15
    handshake: float = 30.0
    absence: float = 120.0
    scale: float = 1.0

    def scaled(self, by: float) -> Deadlines:
        """All that is waited for, so many times as long; how often a connection is kept alive stays."""
        kept = {"keepalive": self.keepalive}
        stretched = {field.name: getattr(self, field.name) * by for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{**stretched, **kept})

    @property
    def login(self) -> float:
        """The longest that one attempt to get in may take."""
        return self.connect + self.banner + self.auth


@dataclasses.dataclass(frozen=True)
class Login:
    """How to reach one machine. What is None comes from the ssh-config `config`, or ssh's defaults.

    `known_hosts` are kubeboot's own files, which win over ssh's; `told` are keys by name, for those whom no
    file knows. `pins` are this machine's host keys, `password` is its own: no jump host is offered it.
    """

    name: str
    config: str | None = None
    host: str | None = None
    user: str | None = None
    port: int | None = None
    key_files: tuple[str, ...] = ()
    password: str | None = dataclasses.field(default=None, repr=False)
    passphrase: str | None = dataclasses.field(default=None, repr=False)
    sudo_password: str | None = dataclasses.field(default=None, repr=False)
    known_hosts: tuple[Path, ...] = ()
    told: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    pins: tuple[str, ...] = ()
    host_keys: HostKeys | None = None
    deadlines: Deadlines = Deadlines()

    def connection(self) -> fabric.Connection:
        """Fabric's connection with our policy, not yet open."""
        config, host = self._fabric_config(), self.host or self.name
        made = fabric.Connection(
            host,
            user=self.user,
            port=self.port,
            config=config,
            gateway=_gateway(config, host),
            connect_kwargs={"key_filename": list(self.key_files)},
        )
        for hop in hops(made):
            hop.client = Client()
            hop.connect_timeout = max(1, int(self.deadlines.connect))
            hop.connect_kwargs.update(self._connect_options(hop.ssh_config))
            believed = self._believed(hop.ssh_config, hop is made)
            believed.teach(hop.client, hop.host, hop.port, known_as(hop))
        made.connect_kwargs["password"] = self.password
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
            "passphrase": self.passphrase,
            "allow_agent": not only,
            "look_for_keys": not only and not self.key_files,
            "transport_factory": Transport,
        }

    def _believed(self, ssh_config: dict[str, Any], last: bool) -> HostKeys:
        """ssh's files and the cluster's; the pins are those of the machine itself, not of its gateways."""
        found = self.host_keys or _configured(ssh_config)
        files = (*found.files, *self.known_hosts)
        return dataclasses.replace(found, files=files, pins=self.pins if last else (), told=self.told)

    def verifies(self, hop: fabric.Connection) -> bool:
        """Whether a hop's key is compared with one that is known; the configuration may want no check."""
        return not self._believed(hop.ssh_config, last=False).any


class Client(paramiko.SSHClient):
    """Reads a key file once for all machines: that an RSA key is one takes 40 ms to check."""

    def _key_from_filepath(self, filename: str, klass: Any, password: str | None) -> paramiko.PKey:  # noqa: ANN401 - a class of keys
        file, certificate = Path(filename.removesuffix(CERTIFICATE)), Path(filename + CERTIFICATE)
        with _READING:
            key = _key(file, file.stat().st_mtime_ns, klass, password)
        for found in (path for path in (Path(filename), certificate) if path.name.endswith(CERTIFICATE)):
            if found.is_file():
                key.load_certificate(str(found))
        return key


@functools.lru_cache(maxsize=64)
def _key(file: Path, mtime: int, klass: Any, password: str | None) -> paramiko.PKey:  # noqa: ANN401 - a class of keys
    """The number tells of a change."""
    found: paramiko.PKey = klass.from_private_key_file(str(file), password)
    return found


class Transport(paramiko.Transport):
    """Prefers AES-GCM: half the work of AES-CTR with a MAC beside it."""

    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        *(name for name in paramiko.Transport._preferred_ciphers if "gcm" not in name),  # type: ignore[attr-defined]
    )


def hops(connection: fabric.Connection) -> Iterator[fabric.Connection]:
    """The connection and the gateways before it."""
    hop: Any = connection
    while isinstance(hop, fabric.Connection):
        yield hop
        hop = hop.gateway


def known_as(hop: fabric.Connection) -> str:
    """The name that known-hosts files have a machine by: its alias, or its address."""
    alias: str | None = hop.ssh_config.get("hostkeyalias")
    return alias or hostkeys.known_as(hop.host, hop.port)


def _gateway(config: fabric.Config, host: str) -> fabric.Connection | Literal[False] | None:
    """The last of the jump hosts, behind those before it (fabric has them the wrong way round).

    None: fabric looks whether there is a ProxyCommand. False: there is to be no gateway.
    """
    said = config.base_ssh_config.lookup(host)
    jump = said.get("proxyjump")
    if jump is None or jump.lower() == "none":
        return None if jump is None else False
    found: fabric.Connection | None = None
    for hop in jump.split(","):
        found = fabric.Connection(hop.removeprefix("ssh://"), gateway=found, config=config.clone())
        if (found.host, found.port) == (said.get("hostname", host), int(said.get("port", SSH_PORT))):
            return False  # a pattern of the configuration gives the jump host itself for one
    return found


def _configured(ssh_config: dict[str, Any]) -> HostKeys:
    """ssh's known-hosts files. Vagrant's way of saying that keys cannot be known is understood."""
    names = ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts").split()
    if names == ["/dev/null"] and ssh_config.get("stricthostkeychecking") == "no":
        return HostKeys(any=True)
    return HostKeys(tuple(Path(name).expanduser() for name in ("/etc/ssh/ssh_known_hosts", *reversed(names))))
