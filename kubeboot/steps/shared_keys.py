"""What every control plane has alike, installed as it was handed over. What is there stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from kubeboot.engine.step import Blocked, Check, Drift, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Key, Secret, Values
from kubeboot.pki import build, pem, table
from kubeboot.steps import authorities, credentials, paths
from kubeboot.steps.credentials import PairFiles

SA = ("sa.pub", "sa.key")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureGiven(Step):
    """A certificate (or public key) and its private key, the same as on the other control planes."""

    files: PairFiles
    pair: Secret[build.Pair]
    what: str

    def check(self, see: View, vals: Values) -> Check:
        given = self.pair.reveal()
        found = (see.host.read(self.files.certificate), see.host.read(self.files.key))
        wanted = (given.certificate, given.key)
        if any(
            has is not None and has.strip() != want.strip() for has, want in zip(found, wanted, strict=True)
        ):
            return Blocked(
                f"this machine has another {self.what} than the cluster",
                hint="to move this machine into the cluster, run `kubeboot reset` on it first",
                reason="KB_OTHER_CLUSTER",
            )
        if None in found:
            return Drift(f"install {self.files.certificate} and its key")
        return self.files.check_modes(see)

    def undo(self, see: View) -> Sequence[Undo]:
        made = (*paths.undo(see, self.files.key), *paths.undo(see, self.files.certificate))
        there = see.host.stat(self.files.certificate) and see.host.stat(self.files.key)
        return self.files.modes_before(see) if there else made

    def apply(self, do: Target, vals: Values) -> None:
        given = self.pair.reveal()
        modes = (credentials.KEY_MODE, credentials.CERTIFICATE_MODE)
        for path, data, mode in (
            (self.files.key, given.key, modes[0]),
            (self.files.certificate, given.certificate, modes[1]),
        ):
            if do.host.read(path) is None:
                do.host.write(path, data, mode)
        self.files.protect(do)

    def read(self, see: View, key: Key[Secret[build.Pair]]) -> Secret[build.Pair] | None:
        there = see.host.read(self.files.certificate) and see.host.read(self.files.key)
        return self.pair if there else None


def steps(node: str, given: Mapping[str, bytes]) -> tuple[Step, ...]:
    """Authorities and the ServiceAccount keys, with the ids that they have on the first control plane."""
    roots = tuple(authority(node, row, given) for row in _rows(given))
    sa = EnsureGiven(
        id="pki/sa",
        title="Install the key for ServiceAccount tokens",
        on=node,
        files=PairFiles(*(f"{table.DIRECTORY}/{name}" for name in SA)),
        pair=Secret(build.Pair(*(given[name] for name in SA))),
        what="key for ServiceAccount tokens",
    )
    return (*roots, sa)


def _rows(given: Mapping[str, bytes]) -> tuple[table.Authority, ...]:
    """The authorities that are among them: that of an etcd elsewhere is not."""
    return tuple(row for row in table.AUTHORITIES if f"{row.file}.key" in given)


def authority(node: str, row: table.Authority, given: Mapping[str, bytes]) -> Step:
    """An authority that was handed over."""
    return EnsureGiven(
        id=f"pki/{row.name}",
        title=f"Install the authority {row.common_name}",
        on=node,
        gives=frozenset({authorities.AUTHORITIES[row.name]}),
        files=credentials.pair_files(row.file),
        pair=Secret(build.Pair(given[f"{row.file}.crt"], given[f"{row.file}.key"])),
        what=f"authority {row.common_name}",
    )


def mismatched(given: Mapping[str, bytes]) -> tuple[str, ...]:
    """Which pairs do not belong together: an upload that someone has tampered with, or a half copy."""
    pairs = [(f"{row.file}.crt", f"{row.file}.key") for row in _rows(given)]
    wrong = tuple(crt for crt, key in pairs if not _matches(given[crt], given[key]))
    public, private = (given[name] for name in SA)
    held = _readable(pem.private_key, private) and pem.holds(public, pem.private_key(private))
    return wrong if held else (*wrong, SA[0])


def _matches(certificate: bytes, key: bytes) -> bool:
    if unreadable(build.Pair(certificate, key)) is not None:
        return False
    public = pem.certificates(certificate)[0].public_key()
    return pem.spki(public) == pem.spki(pem.private_key(key).public_key())  # type: ignore[arg-type]


def unreadable(pair: build.Pair) -> str | None:
    """Which half of a pair is damaged, as its file is called: `crt` or `key`; None: neither."""
    if not _readable(pem.certificates, pair.certificate):
        return "crt"
    return None if _readable(pem.private_key, pair.key) else "key"


def _readable(read: Callable[[bytes], object], data: bytes) -> bool:
    try:
        read(data)
    except ValueError:
        return False
    return True
