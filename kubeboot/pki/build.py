"""Makes keys, authorities, certificates and requests from profiles."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Callable, Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeboot import errors
from kubeboot.pki import endpoint, pem
from kubeboot.pki.table import Profile, Usage

Clock = Callable[[], datetime.datetime]

BACKDATED = datetime.timedelta(minutes=10)
"""Machines' clocks differ; a certificate must be valid on the slowest of them."""

OIDS: Mapping[Usage, x509.ObjectIdentifier] = MappingProxyType(
    {Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}
)

_ALGORITHMS: Mapping[str, Callable[[], pem.PrivateKey]] = MappingProxyType(
    {
        "ECDSA-P256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ECDSA-P384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
        "RSA-3072": lambda: rsa.generate_private_key(65537, 3072),
        "RSA-4096": lambda: rsa.generate_private_key(65537, 4096),
    }
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; the key is never printed."""

    certificate: bytes
    key: bytes = dataclasses.field(repr=False)


def now() -> datetime.datetime:
    """The clock that everything uses unless it is given another."""
    return datetime.datetime.now(datetime.UTC)


def new_key(algorithm: str = "ECDSA-P256") -> pem.PrivateKey:
    """A private key; KeyError for an algorithm that the configuration does not know either."""
    return _ALGORITHMS[algorithm]()


def authority(common_name: str, key: pem.PrivateKey, *, days: int, at: datetime.datetime) -> bytes:
    """A self-signed authority that, like kubeadm's, carries its common name as a DNS name too."""
    profile = Profile(common_name, usages=(), names=(common_name,))
    subject = _subject(profile)
    builder = _builder(profile, key.public_key(), subject, at)
    builder = builder.not_valid_after(_end(at, days))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return _signed(builder.add_extension(_key_usage(signs=True), True), key)


def certificate(
    profile: Profile, public: pem.PublicKey, signer: Pair, *, days: int, at: datetime.datetime
) -> bytes:
    """A leaf signed by `signer`, never valid for longer than the authority itself."""
    parent = pem.certificates(signer.certificate)[0]
    builder = _builder(profile, public, parent.subject, at)
    builder = builder.not_valid_after(min(_end(at, days), parent.not_valid_after_utc))
    builder = builder.add_extension(_authority_key(parent), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    return _signed(builder.add_extension(_key_usage(signs=False), True), pem.private_key(signer.key))


def request(profile: Profile, key: pem.PrivateKey) -> bytes:
    """A certificate signing request (PEM) for the subject and names of `profile`."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(profile))
    if profile.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(general_names(profile.names)), False)
    return builder.sign(key, _hash(key)).public_bytes(serialization.Encoding.PEM)


def general_names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    """Addresses as IP names, everything else as DNS names."""
    try:
        return [
            x509.IPAddress(ipaddress.ip_address(n)) if endpoint.is_ip(n) else x509.DNSName(n) for n in names
        ]
    except ValueError as problem:
        raise errors.ConfigInvalid(
            f"a certificate cannot carry one of the names {', '.join(names)}: {problem}",
            hint="write international names in their xn-- form",
        ) from None


def _subject(profile: Profile) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in profile.organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)])


def _builder(
    profile: Profile, public: pem.PublicKey, issuer: x509.Name, at: datetime.datetime
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(_subject(profile))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
    )
    if profile.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(general_names(profile.names)), False)
    if profile.usages:
        usages = [OIDS[usage] for usage in profile.usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    return builder


def _authority_key(parent: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        known = x509.SubjectKeyIdentifier.from_public_key(parent.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _end(at: datetime.datetime, days: int) -> datetime.datetime:
    return at + datetime.timedelta(days=days)


def _hash(key: pem.PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    big = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
    return hashes.SHA384() if big else hashes.SHA256()


def _signed(builder: x509.CertificateBuilder, key: pem.PrivateKey) -> bytes:
    return pem.encode_certificate(builder.sign(key, _hash(key)))
