"""What a certificate says, and in which ways that is not what is wanted."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID, NameOID

from kubeboot.pki import build, endpoint, pem, table
from kubeboot.pki.table import Profile, Usage


def problems(
    certificate: bytes,
    key: bytes | None,
    wanted: Profile,
    signer: bytes,
    *,
    at: datetime.datetime,
    renew_days: int = 0,
) -> tuple[str, ...]:
    """Everything wrong with a leaf, as predicates ("lacks the name 10.0.0.5"); none for a good one.

    Any authority in `signer` may have signed it. With fewer than `renew_days` days left it wants renewal,
    unless the authority itself ends no later.
    """
    try:
        found, authorities = pem.certificates(certificate)[0], pem.certificates(signer)
    except ValueError:
        return ("is not a readable certificate",)
    parent = next((a for a in authorities if is_signed_by(found, a)), None)
    if parent is None:
        return (f"is not signed by the authority {_common_name(authorities[0].subject)}",)
    left = renew_days if found.not_valid_after_utc < parent.not_valid_after_utc else 0
    return (
        *_key_problems(found, key),
        *_subject_problems(found, wanted),
        *_use_problems(found, wanted),
        *_time_problems(found, at, left),
    )


def authority_problems(certificate: bytes, key: bytes, *, at: datetime.datetime) -> tuple[str, ...]:
    """Everything that keeps a pair from being an authority, as predicates."""
    try:
        found = pem.certificates(certificate)[0]
    except ValueError:
        return ("is not a readable certificate",)
    constraint = () if is_authority(found) else ("is not an authority's certificate",)
    return (*constraint, *_key_problems(found, key), *_time_problems(found, at, 0))


def client_problems(certificate: bytes, key: bytes, *, at: datetime.datetime) -> tuple[str, ...]:
    """Everything that keeps someone else's certificate from being shown to a server, as predicates."""
    try:
        found = pem.certificates(certificate)[0]
    except ValueError:
        return ("is not a readable certificate",)
    unfit = _is_limited(found) and Usage.CLIENT not in usages(found)
    told = ("is not meant for client auth",) if unfit else ()
    return (*_key_problems(found, key), *told, *_time_problems(found, at, 0))


def _is_limited(found: x509.Certificate) -> bool:
    return any(extension.oid == ExtensionOID.EXTENDED_KEY_USAGE for extension in found.extensions)


def trust_problems(authorities: bytes) -> tuple[str, ...]:
    """Why nobody can be believed by these, as predicates."""
    try:
        pem.certificates(authorities)
    except ValueError:
        return ("is not a readable certificate",)
    return ()


def days_left(certificate: bytes, at: datetime.datetime) -> int:
    """Whole days until it expires; negative afterwards."""
    return _days_left(pem.certificates(certificate)[0], at)


def node(certificate: bytes) -> str | None:
    """The Node whose kubelet has this certificate; None for anybody else's, and for what is none."""
    try:
        name = _common_name(pem.certificates(certificate)[0].subject)
    except ValueError:
        return None
    return name.removeprefix(table.NODE) if name.startswith(table.NODE) else None


def is_signed_by(found: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key made the signature, and the names agree."""
    try:
        found.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_issued(certificate: bytes, authority: bytes) -> bool:
    """The same for files; False where one of them holds no certificate."""
    try:
        return is_signed_by(pem.certificates(certificate)[0], pem.certificates(authority)[0])
    except ValueError:
        return False


def is_authority(found: x509.Certificate) -> bool:
    """Whether its basic constraints allow it to sign certificates."""
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def matches(found: x509.Certificate, key: bytes) -> bool:
    """Whether `key` (PEM) is the private half of the certificate's key."""
    try:
        return pem.spki(pem.private_key(key).public_key()) == pem.spki(found.public_key())  # type: ignore[arg-type]
    except ValueError:
        return False


def names(found: x509.Certificate) -> frozenset[str]:
    """Its subject alternative names, DNS names in lower case."""
    try:
        value = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    dns = {name.lower() for name in value.get_values_for_type(x509.DNSName)}
    return frozenset(dns | {str(address) for address in value.get_values_for_type(x509.IPAddress)})


def usages(found: x509.Certificate) -> frozenset[Usage]:
    """Its extended key usages, those that kubeboot knows."""
    try:
        value = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(usage for usage, oid in build.OIDS.items() if oid in value)


def _key_problems(found: x509.Certificate, key: bytes | None) -> tuple[str, ...]:
    if key is None:
        return ("has no private key",)
    return () if matches(found, key) else ("does not belong to its private key",)


def _subject_problems(found: x509.Certificate, wanted: Profile) -> tuple[str, ...]:
    has = (_common_name(found.subject), frozenset(_texts(found.subject, NameOID.ORGANIZATION_NAME)))
    wants = (wanted.common_name, frozenset(wanted.organizations))
    told = (
        f"has the common name {has[0]!r} instead of {wants[0]!r}",
        f"has the organizations {_listed(has[1])} instead of {_listed(wants[1])}",
    )
    return tuple(text for text, h, w in zip(told, has, wants, strict=True) if h != w)


def _use_problems(found: x509.Certificate, wanted: Profile) -> tuple[str, ...]:
    lost = frozenset(map(_normal, wanted.names)) - names(found)
    unusable = frozenset(wanted.usages) - usages(found)
    return (
        *((f"lacks the name{'s' if len(lost) > 1 else ''} {_listed(lost)}",) if lost else ()),
        *((f"is not meant for {_listed(frozenset(str(u) for u in unusable))}",) if unusable else ()),
        *(("is an authority's certificate",) if is_authority(found) else ()),
    )


def _time_problems(found: x509.Certificate, at: datetime.datetime, renew_days: int) -> tuple[str, ...]:
    if at < found.not_valid_before_utc:
        return (f"is not valid before {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",)
    if at >= found.not_valid_after_utc:
        return (f"expired on {found.not_valid_after_utc:%Y-%m-%d}",)
    left = _days_left(found, at)
    return (f"expires in {left} day{'' if left == 1 else 's'}",) if left < renew_days else ()


def _days_left(found: x509.Certificate, at: datetime.datetime) -> int:
    return (found.not_valid_after_utc - at).days


def _common_name(subject: x509.Name) -> str:
    return ", ".join(_texts(subject, NameOID.COMMON_NAME))


def _texts(subject: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)]


def _normal(name: str) -> str:
    return str(ipaddress.ip_address(name)) if endpoint.is_ip(name) else name.lower()


def _listed(texts: frozenset[str]) -> str:
    return ", ".join(sorted(texts)) or "none"
