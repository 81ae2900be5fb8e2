"""What stops a login that a person could answer: an unknown host key, a locked key, sudo's password."""

from __future__ import annotations

from kubeboot import errors


class UnknownHostKey(errors.Unreachable):
    """`known_as` is the machine in known-hosts files; `line` is what such a file would say of the key."""

    reason = "KB_HOST_KEY"
    known_as = ""
    fingerprint = ""
    line = ""


class LockedKey(errors.Unreachable):
    """The private key `file` is encrypted. `refused`: the passphrase that was given does not open it."""

    reason = "KB_AUTH"
    file = ""
    refused = False


class SudoPassword(errors.Unreachable):
    """sudo wants the password of `user`. `refused`: it does not take the one that was given."""

    reason = "KB_SUDO"
    user = ""
    refused = False


def unknown_host_key(name: str, known_as: str, fingerprint: str, line: str) -> UnknownHostKey:
    """Nothing is sent to a machine whose key nobody vouches for."""
    error = UnknownHostKey(
        f"{name}: {known_as} shows an unknown host key {fingerprint}",
        hint="compare this with the machine's own (`ssh-keygen -lf /etc/ssh/ssh_host_*.pub`), then "
        "run the same command with --accept-new-host-keys, or pin the key in the inventory",
        host=name,
    )
    error.known_as, error.fingerprint, error.line = known_as, fingerprint, line
    return error


def locked_key(name: str, file: str, *, refused: bool) -> LockedKey:
    """`refused`: there was a passphrase, and it is another key's."""
    why = "is not opened by the passphrase that was given" if refused else "is encrypted"
    error = LockedKey(
        f"{name}: the private key {file} {why}",
        hint="run the same command with --ask-key-passphrase, or load the key into ssh-agent",
        host=name,
    )
    error.file, error.refused = file, refused
    return error


def sudo_password(name: str, user: str, said: str, *, refused: bool) -> SudoPassword:
    """`said` are sudo's own words."""
    what = f"sudo refuses the password of {user}" if refused else f"sudo wants the password of {user}"
    error = SudoPassword(
        f"{name}: {what}: {said}",
        hint="run the same command with --ask-sudo-password, or set ansible_become_password for this "
        f"machine, or let {user} run sudo without a password (NOPASSWD)",
        host=name,
    )
    error.user, error.refused = user, refused
    return error
