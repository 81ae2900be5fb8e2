"""Bootstrap tokens, the signature of cluster-info, pins of an authority, sealed files."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.pki import jws, pem, pins, sealed, tokens
from kubeboot.pki.tokens import BootstrapToken
from tests.fakes.pki import authority

PARTS = st.builds(
    BootstrapToken,
    st.text(tokens.ALPHABET, min_size=6, max_size=6),
    st.text(tokens.ALPHABET, min_size=16, max_size=16),
)


ALMOST = st.text(tokens.ALPHABET + "AZ-", min_size=5, max_size=17)


def test_generated_tokens_are_tokens_and_differ() -> None:
    made = [tokens.generate() for _ in range(50)]
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token.text) for token in made)
    assert len({token.text for token in made}) == 50
    assert len(set("".join(token.text for token in made))) == 37


@given(PARTS, st.sampled_from(["", " ", "\n", "\t \n"]))
def test_parse_takes_what_is_written(token: BootstrapToken, space: str) -> None:
    assert tokens.parse(space + token.text + space) == token


@given(st.text() | st.tuples(ALMOST, ALMOST).map(".".join))
def test_parse_refuses_everything_else_without_showing_it(text: str) -> None:
    if re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", text.strip()):
        return
    with pytest.raises(errors.UsageProblem) as caught:
        tokens.parse(text)
    told = f"{caught.value.message} {caught.value.hint}"
    assert all(part not in told for part in text.split(".") if len(part) > 8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abcdef0123456789abcdef", "it has 0 dots instead of 1"),
        ("abcdef.0123.456789abcdef", "it has 2 dots instead of 1"),
        ("abcde.0123456789abcdef", "it has 5 and 16 characters instead of 6 and 16"),
        ("ABCDEF.0123456789abcdef", "it has characters other than a-z and 0-9"),
        ("abcdef.0123456789abcd\u0665f", "it has characters other than a-z and 0-9"),
    ],
)
def test_a_malformed_token_is_explained(text: str, told: str) -> None:
    with pytest.raises(errors.UsageProblem, match=re.escape(told)) as caught:
        tokens.parse(text)
    assert caught.value.reason == "KB_TOKEN_FORMAT"


def test_a_token_does_not_show_its_secret() -> None:
    token = tokens.parse("abcdef.0123456789abcdef")
    assert repr(token) == "BootstrapToken(id='abcdef')"
    assert (token.object_name, token.user) == ("bootstrap-token-abcdef", "system:bootstrap:abcdef")


# Recorded from k8s.io/cluster-bootstrap v0.37.1, token/jws/jws_test.go.
CONTENT = "Hello from the other side. I must have called a thousand times."
JOSHUA = BootstrapToken("joshua", "my voice is my passcode")
HEADER = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9"


@pytest.mark.parametrize(
    ("content", "token", "mac"),
    [
        (CONTENT, JOSHUA, "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"),
        ("", JOSHUA, "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"),
        (CONTENT, BootstrapToken("joshua", ""), "UfkqvDGiIFxrMnFseDj9LYJOLNrvjW8aHhF71mvvAs8"),
    ],
)
def test_signatures_are_the_controller_managers(content: str, token: BootstrapToken, mac: str) -> None:
    assert jws.sign(content, token) == f"{HEADER}..{mac}"
    assert jws.verify(f"{HEADER}..{mac}", content, token)


@given(PARTS, st.text())
def test_a_signature_holds_for_its_token_and_content_only(token: BootstrapToken, content: str) -> None:
    signature = jws.sign(content, token)
    assert jws.verify(signature, content, token)
    assert not jws.verify(signature, content + " ", token)
    assert not jws.verify(signature, content, BootstrapToken(token.id, token.secret[::-1] + "x"))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.\.[A-Za-z0-9_-]*", fullmatch=True))
def test_no_text_is_a_signature_by_chance(text: str) -> None:
    assert not jws.verify(text, CONTENT, JOSHUA)


@pytest.mark.parametrize(
    "header", ['{"alg":"none","kid":"joshua"}', '{"alg":"HS256","kid":"other1"}', "[]", "3", '"alg"']
)
def test_the_header_must_name_the_algorithm_and_the_token(header: str) -> None:
    encoded = jws._encode(header.encode())
    mac = jws._encode(jws._mac(encoded, CONTENT, JOSHUA))
    assert not jws.verify(f"{encoded}..{mac}", CONTENT, JOSHUA)


# Recorded: `kubeadm init phase certs ca` v1.37.1, and its pin by
# `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum`.
KUBEADM_CA = b"""\
-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIIcO4ZVSORJ3UwCgYIKoZIzj0EAwIwFTETMBEGA1UEAxMK
a3ViZXJuZXRlczAeFw0yNjExMjEwMTQ1MzJaFw0zNjExMTgwMTUwMzJaMBUxEzAR
BgNVBAMTCmt1YmVybmV0ZXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARgzW+0
2xYVn2Z5wZiTbaLMXr+OTKdEo+oz0Vbb4LHuqJQMpIajtcvEA4ilrelpAmbbwR0R
nrc1sGH4wO6140vso1kwVzAOBgNVHQ8BAf8EBAMCAqQwDwYDVR0TAQH/BAUwAwEB
/zAdBgNVHQ4EFgQUldNOH6xdgemGQTvYBhS1pZlcxvkwFQYDVR0RBA4wDIIKa3Vi
ZXJuZXRlczAKBggqhkjOPQQDAgNJADBGAiEAgsFObH/wqqcPV+YR9KMXfWCJi4pa
oVUkbcQjV3l2h8ACIQDS7VUdjmnch85AM9eL2gLxxrRgEree5KVUS2PW7dWOpQ==
-----END CERTIFICATE-----
"""
KUBEADM_PIN = "sha256:3d130d7563846954b67e3eb7235f8538c19519d210ce6a73d22c7f6398dc67e8"


def test_the_pin_is_kubeadms() -> None:
    assert pins.pin(KUBEADM_CA) == KUBEADM_PIN


def test_pins_tell_authorities_apart() -> None:
    ours, other = authority().certificate, authority().certificate
    assert pins.is_pinned(ours, [pins.pin(other), pins.pin(ours).upper()])
    assert not pins.is_pinned(ours, [pins.pin(other)])
    assert not pins.is_pinned(ours, [])
    assert not pins.is_pinned(b"nothing", [pins.pin(ours)])


@given(st.binary(min_size=32, max_size=32))
def test_every_digest_is_a_pin(data: bytes) -> None:
    assert pins.parse(f" SHA256:{data.hex().upper()}\n") == f"sha256:{data.hex()}"


@given(st.text() | st.from_regex(r"(md5|sha256):[0-9a-f]{0,70}", fullmatch=True))
def test_everything_else_is_not(text: str) -> None:
    if re.fullmatch(r"sha256:[0-9a-f]{64}", text.strip().lower()):
        return
    with pytest.raises(errors.UsageProblem):
        pins.parse(text)


KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(st.binary(), KEYS)
def test_sealed_bytes_come_back(data: bytes, key: str) -> None:
    box = sealed.seal(data, key)
    assert len(box) == 12 + len(data) + 16
    assert sealed.unseal(box, key.upper()) == data


@given(st.binary(), KEYS, st.integers(min_value=0))
def test_a_changed_bit_or_another_key_is_noticed(data: bytes, key: str, where: int) -> None:
    box = bytearray(sealed.seal(data, key))
    box[where % len(box)] ^= 1
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    for attempt in ((bytes(box), key), (sealed.seal(data, key), other)):
        with pytest.raises(errors.KubebootError) as caught:
            sealed.unseal(*attempt)
        assert key not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("size", [0, 5, 12, 27])
def test_too_short_a_box_is_an_error(size: int) -> None:
    with pytest.raises(errors.KubebootError, match="cannot be decrypted"):
        sealed.unseal(b"x" * size, sealed.new_key())


def test_a_seal_is_never_made_twice_with_the_same_nonce() -> None:
    key = sealed.new_key()
    assert len({sealed.seal(b"x", key)[:12] for _ in range(100)}) == 100


def test_certificate_keys() -> None:
    key = sealed.new_key()
    assert len(key) == 64
    assert set(key) <= set(string.hexdigits.lower())
    assert sealed.parse_key(f" {key.upper()}\n") == key
    with pytest.raises(errors.UsageProblem, match="this one has 10 characters") as caught:
        sealed.parse_key("confidence")
    assert "confidence" not in caught.value.message


def test_the_files_that_travel() -> None:
    assert sealed.FILES["etcd-ca.key"] == "etcd/ca.key"
    assert len(sealed.FILES) == 8


def test_public_keys_are_found_whatever_their_kind() -> None:
    key = pem.private_key(authority().key)
    assert pem.spki(pem.public_keys(pem.encode_public(key.public_key()))[0]) == pem.spki(key.public_key())
