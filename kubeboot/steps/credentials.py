"""What the steps for certificates, keys and kubeconfigs have in common: reading, modes, and taking back."""

from __future__ import annotations

import dataclasses
import posixpath

from kubeboot.engine.step import Blocked, Check, Drift, Ok, Target, View
from kubeboot.engine.undo import RestoreMode, Undo
from kubeboot.pki import build, pem, table
from kubeboot.steps import paths

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """Where a certificate (or public key) and its private key are."""

    certificate: str
    key: str

    @property
    def name(self) -> str:
        """What the plan calls the certificate: "etcd/ca.crt"."""
        return self.certificate.removeprefix(f"{table.DIRECTORY}/")

    def check_modes(self, see: View) -> Check:
        """Drift when others may write the certificate or read the key."""
        wrong = exposed(see, self.certificate, CERTIFICATE_MODE) or exposed(see, self.key, KEY_MODE)
        return Drift(wrong, "change", quiet=True) if wrong else Ok()

    def protect(self, do: Target) -> None:
        """Mode and owner as they should be; what is stricter is left alone."""
        for path, mode in ((self.certificate, CERTIFICATE_MODE), (self.key, KEY_MODE)):
            if exposed(do.see, path, mode):
                do.host.chmod(path, mode)

    def modes_before(self, see: View) -> tuple[Undo, ...]:
        """What takes `protect` back."""
        found = ((self.certificate, CERTIFICATE_MODE), (self.key, KEY_MODE))
        return tuple(undo for path, mode in found for undo in mode_before(see, path, mode))

    def key_before(self, see: View) -> tuple[Undo, ...]:
        """What takes `ensure_key` and `protect` back; a usable key is not even copied."""
        if usable_key(see.host.read(self.key)) is None:
            return paths.undo(see, self.key)
        return mode_before(see, self.key, KEY_MODE)


def pair_files(file: str, directory: str = table.DIRECTORY) -> PairFiles:
    """The files of a row of pki.table."""
    return PairFiles(f"{directory}/{file}.crt", f"{directory}/{file}.key")


def usable_key(data: bytes | None) -> pem.PrivateKey | None:
    """The private key in a file, if it is one: it is kept, whatever else has to be made again."""
    try:
        return pem.private_key(data) if data else None
    except ValueError:
        return None


def ensure_key(do: Target, path: str, algorithm: str) -> pem.PrivateKey:
    """The key at `path`; a new one is on the disk before anything is signed for it."""
    found = usable_key(do.host.read(path))
    if found is not None:
        return found
    made = build.new_key(algorithm)
    do.host.write(path, pem.encode_key(made), KEY_MODE)
    return made


def exposed(see: View, path: str, mode: int) -> str | None:
    """What is wrong with who may read or write the file; stricter than `mode` is fine."""
    stat = see.host.stat(path)
    if stat is None or stat.kind != "file":
        return None
    name = posixpath.basename(path)
    if stat.mode & ~mode:
        return f"{name} has mode {stat.mode:04o} instead of {mode:04o}"
    return f"{name} belongs to user {stat.uid} instead of root" if stat.uid else None


def check_private(see: View, path: str) -> Check:
    """Drift when others than root may read it."""
    wrong = exposed(see, path, KEY_MODE)
    return Drift(wrong, "change", quiet=True) if wrong else Ok()


def unusable(message: str) -> Blocked:
    """Something that only a backup can fix, because the cluster depends on what it was."""
    hint = "restore it from a backup, or, to start afresh, run `kubeboot reset` first"
    return Blocked(message, hint=hint, reason="KB_PKI")


def mode_before(see: View, path: str, mode: int) -> tuple[Undo, ...]:
    """What takes a chmod of an exposed file back."""
    stat = see.host.stat(path)
    if stat is None or not exposed(see, path, mode):
        return ()
    return (RestoreMode(path, stat.mode, f"{stat.uid}:{stat.gid}"),)
