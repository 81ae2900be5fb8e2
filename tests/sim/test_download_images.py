"""Images of upstream's registries: tokens, passwords, digests and tags that do not hold what they say."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.artifacts import oci
from kubeboot.artifacts.credentials import Credentials
from tests.fakes import registry
from tests.sim.internet import User


def test_tokens_are_fetched_once_for_each_repository(user: User) -> None:
    user.stock().verify()
    tokens = [each.path for each in user.internet.registry.asked if each.path.startswith("/token")]
    assert len(tokens) <= 2 * len(user.internet.release.names())
    assert all("scope=repository" in path and "service=fake" in path for path in tokens)


@pytest.mark.parametrize("login", ["bearer", "basic"])
def test_a_password_opens_a_closed_registry(user: User, login: str) -> None:
    user.internet.registry.login = login  # type: ignore[assignment]
    user.internet.registry.members_only = True
    with pytest.raises(errors.Unreachable) as caught:
        user.stock().catalog()
    assert "credentials" in str(caught.value.output) or "gives no token" in str(caught.value.output)
    user.credentials = Credentials({user.internet.url.partition("://")[2]: registry.USER})
    assert user.stock().catalog().image("etcd").digest
    assert registry.USER not in user.lock.path.read_text()


def test_a_token_is_not_asked_where_it_is_not_safe(user: User) -> None:
    user.internet.registry.realm = "http://127.0.0.1:1/token"
    with pytest.raises(errors.Unreachable) as caught:
        user.stock().catalog()
    assert "a token from a place that is not https" in str(caught.value.output)


def test_a_registry_whose_digest_does_not_fit_is_refused(user: User) -> None:
    user.internet.registry.stated = f"sha256:{'0' * 64}"
    with pytest.raises(errors.ConfigInvalid) as caught:
        user.stock().catalog()
    assert "sends other bytes" in str(caught.value.output)


def test_a_manifest_that_is_another_one_is_refused(user: User) -> None:
    manifests = user.internet.registry.manifests
    digest = user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"etcd"})
    manifests["registry.k8s.io/etcd", digest] = manifests["registry.k8s.io/pause", "3.10.2"]
    with pytest.raises(errors.ConfigInvalid, match=r"etcd:3\.7\.0-0 is not what it must be"):
        user.stock().catalog()


def test_an_image_without_our_architecture_is_refused(user: User) -> None:
    user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"etcd"}, archs=("s390x",))
    with pytest.raises(errors.Unreachable, match="has no image for linux/amd64"):
        user.stock().catalog()


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"schemaVersion": 1}',
        b'{"schemaVersion": 2, "config": {}, "layers": []}',
        b'{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": 7}',
        b'{"schemaVersion":2,"config":{"mediaType":"","digest":"sha256:../../../etc","size":1},"layers":[]}',
    ],
)
def test_a_manifest_that_is_none_is_refused(user: User, body: bytes) -> None:
    user.internet.registry.manifests["registry.k8s.io/pause", "3.10.2"] = (oci.MANIFEST, body)
    with pytest.raises(errors.Unreachable, match="does not answer as a registry does"):
        user.stock().catalog()


def test_a_tag_that_moves_does_not_move_us(user: User) -> None:
    before = user.stock().catalog().image("etcd").digest
    after = user.internet.registry.add("registry.k8s.io/etcd", "3.7.0-0", {"etcd": b"another"})
    again = user.stock()
    again.verify()
    assert again.catalog().image("etcd").digest == before != after
