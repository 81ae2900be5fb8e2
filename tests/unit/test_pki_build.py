"""Certificates: field for field as kubeadm's, and good for real verification."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import pathlib
import socket
import ssl
import threading
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from kubeboot import errors
from kubeboot.config import spec
from kubeboot.pki import build, inspect, pem, table
from kubeboot.pki.table import Profile
from tests.fakes.pki import AT, authority, leaf

GOLDEN = pathlib.Path(__file__).parent / "golden"
SITE = table.Site(
    node="cp-1",
    address="10.0.0.11",
    service_subnet="10.96.0.0/12",
    dns_domain="cluster.local",
    control_plane_endpoint="api.example.org:8443",
    cert_sans=("10.0.0.12", "cp-2.example.org"),
    etcd_server_sans=("etcd.example.org",),
    etcd_peer_sans=("10.9.9.9",),
)


def _everything() -> dict[str, bytes]:
    """Every certificate of a control plane, by its file below the pki directory or its kubeconfig."""
    signers = {row.name: authority(row.common_name) for row in table.AUTHORITIES}
    made = {row.file: signers[row.name].certificate for row in table.AUTHORITIES}
    made |= {row.file: leaf(row.profile(SITE), signers[row.signer]).certificate for row in table.CERTIFICATES}
    made |= {f"{row.name}.conf": leaf(row.profile, signers["ca"]).certificate for row in table.IDENTITIES}
    made["kubelet.conf"] = leaf(table.kubelet_profile("cp-1"), signers["ca"]).certificate
    return made


KEY_USAGES = (
    "digital_signature", "key_encipherment", "key_cert_sign", "crl_sign", "content_commitment",
    "data_encipherment", "key_agreement",
)  # fmt: skip


def told(certificate: bytes) -> dict[str, object]:
    """All fields that matter, in the form in which kubeadm's were recorded."""
    found = pem.certificates(certificate)[0]
    extensions = {e.oid._name: e for e in found.extensions}
    usage = extensions["keyUsage"].value
    extended = extensions["extendedKeyUsage"].value if "extendedKeyUsage" in extensions else ()
    names = extensions["subjectAltName"].value if "subjectAltName" in extensions else None
    hashed = found.signature_hash_algorithm
    return {
        "commonName": [a.value for a in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)],
        "organization": [a.value for a in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)],
        "issuer": found.issuer.rfc4514_string(),
        "ca": extensions["basicConstraints"].value.ca,
        "pathLength": extensions["basicConstraints"].value.path_length,
        "keyUsage": [name for name in KEY_USAGES if getattr(usage, name)],
        "extendedKeyUsage": sorted(oid._name for oid in extended),
        "dns": sorted(names.get_values_for_type(x509.DNSName)) if names else [],
        "ip": sorted(map(str, names.get_values_for_type(x509.IPAddress))) if names else [],
        "critical": sorted(name for name, e in extensions.items() if e.critical),
        "extensions": sorted(extensions),
        "signature": hashed.name if hashed else "",
    }


# Recorded from kubeadm v1.37.1 for the cluster that SITE describes: `kubeadm init phase certs all` and
# `kubeadm init phase kubeconfig all`, with ECDSA-P256.
KUBEADM = json.loads((GOLDEN / "kubeadm-pki.json").read_text())
MORE = {"apiserver": {"dns": {"localhost"}, "ip": {"127.0.0.1", "::1"}}}
"""The names that the design adds to kubeadm's."""


@pytest.fixture(scope="module")
def everything() -> dict[str, bytes]:
    return _everything()


def test_there_is_a_certificate_for_each_of_kubeadms(everything: dict[str, bytes]) -> None:
    assert everything.keys() == KUBEADM.keys()


@pytest.mark.parametrize("name", sorted(KUBEADM))
def test_fields_are_kubeadms(name: str, everything: dict[str, bytes]) -> None:
    ours, theirs = told(everything[name]), dict(KUBEADM[name])
    for kind in ("dns", "ip"):
        has, wants = ours.pop(kind), theirs.pop(kind)
        assert set(has) == set(wants) | MORE.get(name, {}).get(kind, set())  # type: ignore[call-overload]
    assert ours == theirs


def test_names_are_given_once_and_follow_the_site() -> None:
    site = table.Site(
        "cp-1", "fd00::11", "10.96.0.0/12, fd01::/112", "example.net", "[fd00::11]:8443", ("cp-1",)
    )
    profile = next(row for row in table.CERTIFICATES if row.name == "apiserver").profile(site)
    assert profile.names == (
        "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.example.net",
        "cp-1", "localhost", "127.0.0.1", "::1", "fd00::11", "10.96.0.1", "fd01::1",
    )  # fmt: skip


def test_valid_ten_minutes_ago_and_for_as_long_as_asked() -> None:
    signer = authority()
    found = pem.certificates(leaf(table.kubelet_profile("w-1"), signer, days=90).certificate)[0]
    assert found.not_valid_before_utc == AT - datetime.timedelta(minutes=10)
    assert found.not_valid_after_utc == AT + datetime.timedelta(days=90)


def test_a_leaf_does_not_outlive_its_authority() -> None:
    key = build.new_key()
    signer = build.Pair(build.authority("ca", key, days=10, at=AT), pem.encode_key(key))
    found = pem.certificates(leaf(table.kubelet_profile("w-1"), signer).certificate)[0]
    assert found.not_valid_after_utc == AT + datetime.timedelta(days=10)


def test_an_authority_without_key_identifier_can_sign() -> None:
    """Some people bring an authority that openssl made without one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "theirs")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, AT, AT + datetime.timedelta(days=9))
    root = made.add_extension(x509.BasicConstraints(True, None), True).sign(key, build._hash(key))
    signer = build.Pair(pem.encode_certificate(root), pem.encode_key(key))
    assert inspect.is_issued(leaf(Profile("x"), signer).certificate, signer.certificate)


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072"])
def test_every_algorithm_gives_keys_that_sign_and_files_that_go_reads(algorithm: str) -> None:
    signer = authority(algorithm=algorithm)
    made = leaf(Profile("someone"), signer, algorithm=algorithm)
    label = b"EC PRIVATE KEY" if algorithm.startswith("EC") else b"RSA PRIVATE KEY"
    assert made.key.startswith(b"-----BEGIN " + label + b"-----\n")
    assert inspect.problems(made.certificate, made.key, Profile("someone"), signer.certificate, at=AT) == ()
    size = pem.private_key(made.key).key_size
    assert size == int(algorithm.partition("-")[2].lstrip("P"))


def test_the_configurations_algorithms_are_ours() -> None:
    field = spec.Certificates.model_fields["algorithm"]
    assert set(get_args(field.annotation)) == set(build._ALGORITHMS)


def test_a_p384_authority_signs_with_sha384() -> None:
    signer = authority(algorithm="ECDSA-P384")
    assert told(leaf(Profile("x"), signer).certificate)["signature"] == "sha384"


def test_a_name_that_no_certificate_can_carry_is_the_configurations_fault() -> None:
    with pytest.raises(errors.ConfigInvalid, match="müller"):
        leaf(Profile("x", names=("müller.example.org",)), authority())


def test_a_pair_does_not_show_its_key() -> None:
    assert b"PRIVATE".decode() not in repr(authority())


def test_a_request_asks_for_the_subject_and_nothing_else() -> None:
    key = build.new_key()
    found = x509.load_pem_x509_csr(build.request(table.kubelet_profile("w-1"), key))
    assert found.subject.rfc4514_string() == "CN=system:node:w-1,O=system:nodes"
    assert found.is_signature_valid
    assert list(found.extensions) == []


def test_a_request_can_carry_names() -> None:
    found = x509.load_pem_x509_csr(build.request(Profile("x", names=("a.b", "10.0.0.1")), build.new_key()))
    value = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert value.get_values_for_type(x509.DNSName) == ["a.b"]


def test_pem_passes_over_other_blocks_as_client_go_does() -> None:
    made = leaf(Profile("x"), authority())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    together = b"a remark\n" + parameters + made.certificate + made.key
    assert pem.encode_key(pem.private_key(together)) == made.key
    assert pem.encode_certificate(pem.certificates(together)[0]) == made.certificate


def test_pkcs8_keys_are_read_too() -> None:
    key = build.new_key()
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert pem.encode_key(pem.private_key(data)) == pem.encode_key(key)


def test_crlf_files_are_read() -> None:
    made = leaf(Profile("x"), authority())
    assert pem.certificates(made.certificate.replace(b"\n", b"\r\n"))


def test_an_encrypted_key_is_refused_in_words() -> None:
    key = build.new_key()
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(ValueError, match="encrypted"):
        pem.private_key(data)


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_no_certificate_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        pem.certificates(data)


def test_sa_pub_is_pkix_and_may_hold_several_keys() -> None:
    old, new = build.new_key(), build.new_key("RSA-2048")
    assert isinstance(new, rsa.RSAPrivateKey)
    data = pem.encode_public(old.public_key()) + pem.encode_public(new.public_key())
    assert data.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert pem.holds(data, old)
    assert pem.holds(data, new)
    assert not pem.holds(data, build.new_key())
    assert not pem.holds(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", old)


def _apiserver(signer: build.Pair, at: datetime.datetime) -> build.Pair:
    row = next(row for row in table.CERTIFICATES if row.name == "apiserver")
    return leaf(row.profile(SITE), signer, at)


@pytest.mark.parametrize(
    "subject", ["kubernetes", "localhost", "cp-1", "api.example.org", "10.96.0.1", "::1"]
)
def test_the_chain_verifies_by_every_name(subject: str) -> None:
    signer = authority()
    served = _apiserver(signer, AT)
    store = verification.Store(pem.certificates(signer.certificate))
    wanted = x509.IPAddress(ipaddress.ip_address(subject)) if subject[0] in "1:" else x509.DNSName(subject)
    verifier = verification.PolicyBuilder().store(store).time(AT).build_server_verifier(wanted)
    assert len(verifier.verify(pem.certificates(served.certificate)[0], [])) == 2


def test_the_chain_does_not_verify_by_another_authority_of_the_same_name() -> None:
    served = _apiserver(authority(), AT)
    store = verification.Store(pem.certificates(authority().certificate))
    verifier = verification.PolicyBuilder().store(store).time(AT).build_server_verifier(x509.DNSName("cp-1"))
    with pytest.raises(verification.VerificationError):
        verifier.verify(pem.certificates(served.certificate)[0], [])


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, object]:
    """A mutual TLS handshake over loopback; who the client was to the server."""
    seen: dict[str, object] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            raw, _ = listener.accept()
            with raw:
                try:
                    with server.wrap_socket(raw, server_side=True) as tls:
                        seen["peer"] = tls.getpeercert()
                        tls.sendall(b"ok")
                except ssl.SSLError as problem:
                    seen["error"] = problem.reason

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(listener.getsockname()) as raw,
            client.wrap_socket(raw, server_hostname=name) as tls,
        ):
            tls.recv(2)
        thread.join()
    return seen


def _context(purpose: int, pair: build.Pair, trusted: bytes, path: pathlib.Path) -> ssl.SSLContext:
    file = path / f"{purpose}.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(purpose)
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=trusted.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "RSA-2048"])
@pytest.mark.parametrize("name", ["127.0.0.1", "kubernetes", "localhost"])
def test_a_real_handshake_with_a_client_certificate(
    tmp_path: pathlib.Path, algorithm: str, name: str
) -> None:
    now = build.now()
    signer = authority(algorithm=algorithm, at=now)
    admin = table.IDENTITIES[0]
    server = _context(ssl.PROTOCOL_TLS_SERVER, _apiserver(signer, now), signer.certificate, tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, leaf(admin.profile, signer, now), signer.certificate, tmp_path)
    peer = _handshake(server, client, name)["peer"]
    assert peer["subject"] == (  # type: ignore[index]
        (("organizationName", "kubeadm:cluster-admins"),),
        (("commonName", "kubernetes-admin"),),
    )


def test_a_serving_certificate_is_not_taken_for_a_client(tmp_path: pathlib.Path) -> None:
    now = build.now()
    signer = authority(at=now)
    server = _context(ssl.PROTOCOL_TLS_SERVER, _apiserver(signer, now), signer.certificate, tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, _apiserver(signer, now), signer.certificate, tmp_path)
    assert _handshake(server, client, "kubernetes") == {"error": "CERTIFICATE_VERIFY_FAILED"}


def test_etcd_serves_and_dials_with_the_same_certificate(tmp_path: pathlib.Path) -> None:
    now = build.now()
    signer = authority("etcd-ca", at=now)
    row = next(row for row in table.CERTIFICATES if row.name == "etcd-peer")
    member = leaf(row.profile(SITE), signer, now)
    server = _context(ssl.PROTOCOL_TLS_SERVER, member, signer.certificate, tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, member, signer.certificate, tmp_path)
    assert "peer" in _handshake(server, client, "127.0.0.1")
