"""Why a login failed, what to do about it, and whether another attempt may get in."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import fabric
import paramiko

from kubeboot import errors
from kubeboot.host.ssh import hostkeys, questions
from kubeboot.host.ssh.login import hops


def explain(err: BaseException, name: str, connection: fabric.Connection) -> errors.Unreachable:
    """What stopped a login, and what to do about it."""
    address = address_of(connection)
    kind = meant(err)
    if isinstance(err, hostkeys.Unknown):
        shown = hostkeys.fingerprint(err.key)
        return questions.unknown_host_key(name, err.name, shown, hostkeys.line_of(err.name, err.key))
    if isinstance(err, hostkeys.Revoked):
        return _revoked_key(err, name, connection)
    if isinstance(err, (hostkeys.Differs, paramiko.BadHostKeyException)):
        return _changed_key(err, name, connection)
    if issubclass(kind, paramiko.AuthenticationException) and (locked := _locked(connection)):
        return questions.locked_key(name, locked[0], refused=locked[1])
    for each, (reason, message, hint) in _FAILURES.items():
        if issubclass(kind, each):
            text = message.format(at=address, err=_words(err))
            return errors.Unreachable(f"{name}: {text}", hint=hint, reason=reason, host=name)
    raise err


def address_of(connection: fabric.Connection) -> str:
    """user@host:port."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return f"{connection.user}@{host}:{connection.port}"


def _words(err: BaseException) -> str:
    """Its own; where several addresses were tried, what each of them met."""
    if isinstance(err, paramiko.ssh_exception.NoValidConnectionsError):
        return ", ".join(dict.fromkeys(_words(each) for each in err.errors.values()))
    if isinstance(err, OSError) and err.strerror:
        return err.strerror.lower()
    return str(err) or type(err).__name__


def meant(err: BaseException) -> type[BaseException]:
    """The kind of a failure, where paramiko's class says another one than its words."""
    return next((kind for words, kind in _REALLY.items() if words in str(err)), type(err))


def is_passing(err: BaseException, *, was_there: bool) -> bool:
    """Whether another attempt may get in. `was_there`: the machine let us in before, and may be booting."""
    if isinstance(err, _KEYS):
        return False
    if was_there:
        return True
    return not issubclass(meant(err), _LASTING) and issubclass(meant(err), _PASSING)


def _revoked_key(err: hostkeys.Revoked, name: str, connection: fabric.Connection) -> errors.Unreachable:
    shown, at = hostkeys.fingerprint(err.key), address_of(connection)
    return errors.Unreachable(
        f"{name}: {at} shows the host key {shown}, which a known-hosts file has as @revoked",
        hint="whoever holds this key must not be trusted; give the machine a new one (`ssh-keygen -t ed25519 "
        "-f /etc/ssh/ssh_host_ed25519_key`, and restart its sshd)",
        reason="KB_HOST_KEY",
        host=name,
    )


def _changed_key(
    err: hostkeys.Differs | paramiko.BadHostKeyException, name: str, connection: fabric.Connection
) -> errors.Unreachable:
    """Another key than the known one: stop, whatever the policy."""
    known = err.known if isinstance(err, hostkeys.Differs) else hostkeys.fingerprint(err.expected_key)
    shown, at = hostkeys.fingerprint(err.key), address_of(connection)
    return errors.Unreachable(
        f"{name}: {at} shows the host key {shown}, but the known one is {known}",
        hint="someone may be intercepting the connection; if the machine was reinstalled, "
        "remove its old key from the known-hosts file (`ssh-keygen -R NAME -f FILE`; docs/fleet.md has the "
        "files), or its pin from the inventory",
        reason="KB_HOST_KEY",
        host=name,
    )


def _locked(connection: fabric.Connection) -> tuple[str, bool] | None:
    """The first private key that would have been tried and cannot be read; whether a passphrase was tried."""
    for hop in hops(connection):
        passphrase = hop.connect_kwargs.get("passphrase")
        default = _DEFAULT_KEYS if hop.connect_kwargs["look_for_keys"] else ()
        for file in hop.connect_kwargs.get("key_filename") or default:
            path = Path(file).expanduser()
            if path.exists() and not _opens(path, passphrase):
                return str(file), passphrase is not None
    return None


def _opens(path: Path, passphrase: str | None) -> bool:
    for password in (None, passphrase.encode() if passphrase else None):
        with contextlib.suppress(paramiko.SSHException, TypeError, ValueError, OSError):
            paramiko.PKey.from_path(path, password)  # type: ignore[arg-type]
            return True
    return False


_REALLY: dict[str, type[BaseException]] = {
    "saw EOF": EOFError,
    "No existing session": EOFError,
    "No authentication methods": paramiko.AuthenticationException,
    "Invalid key": paramiko.AuthenticationException,
    "Timeout opening channel": TimeoutError,
}
"""Words of paramiko's that belong to another kind of failure than their class says."""

_KEYS = (hostkeys.Unknown, hostkeys.Revoked, hostkeys.Differs, paramiko.BadHostKeyException)
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_PASSING = (paramiko.SSHException, EOFError, ConnectionResetError, BrokenPipeError)
_LASTING = (paramiko.AuthenticationException, paramiko.ChannelException)

_NETWORK_HINT = "check the address, the port and the firewalls, and that sshd runs there"

_FAILURES: dict[type[BaseException], tuple[str, str, str]] = {
    paramiko.AuthenticationException: (
        "KB_AUTH",
        "{at} refuses the login: {err}",
        "check the user and the key; `ssh -v` shows what is tried",
    ),
    paramiko.ChannelException: (
        "KB_UNREACHABLE",
        "{at} cannot be reached through its jump host: {err}",
        "check the address as the jump host sees it, and that its sshd allows forwarding",
    ),
    socket.gaierror: (
        "KB_UNREACHABLE",
        "the name of {at} cannot be resolved",
        "check the spelling, or give an address",
    ),
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
