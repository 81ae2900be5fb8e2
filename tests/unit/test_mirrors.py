"""Where a file or an image is asked for: mirrors, registries and proxies."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.artifacts import proxies
from kubeboot.artifacts.mirrors import Mirrors, Reference

# Mirrors

K8S = "https://dl.k8s.io/release/v1/kubelet"
TABLE = {
    "https://dl.k8s.io": ("https://m.example/k8s/", "http://10.0.0.5"),
    "https://github.com/opencontainers": ("https://m.example/runc",),
    "https://registry.k8s.io": ("https://r.example/k8s", "https://registry.k8s.io"),
    "https://docker.io": ("https://r.example/v2/hub", "https://docker.io"),
}


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        (K8S, ("https://m.example/k8s/release/v1/kubelet", "http://10.0.0.5/release/v1/kubelet")),
        ("https://dl.k8s.io.evil.example/x", ("https://dl.k8s.io.evil.example/x",)),
        ("https://github.com/opencontainers/runc/x", ("https://m.example/runc/runc/x",)),
        ("https://github.com/containerd/x", ("https://github.com/containerd/x",)),
    ],
)
def test_urls_are_replaced_by_their_beginning(url: str, instead: tuple[str, ...]) -> None:
    assert Mirrors(TABLE).urls(url) == instead


def test_the_longest_beginning_wins() -> None:
    table = {"https://a": ("https://short",), "https://a/b": ("https://long",)}
    assert Mirrors(table).urls("https://a/b/c") == ("https://long/c",)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("registry.k8s.io/pause:3", ("https://r.example/v2/k8s/pause", "https://registry.k8s.io/v2/pause")),
        (
            "docker.io/library/haproxy:2",
            ("https://r.example/v2/hub/library/haproxy", "https://registry-1.docker.io/v2/library/haproxy"),
        ),
        ("ghcr.io/flannel-io/flannel:v1", ("https://ghcr.io/v2/flannel-io/flannel",)),
    ],
)
def test_images_are_asked_at_their_registrys_mirrors(name: str, addresses: tuple[str, ...]) -> None:
    assert Mirrors(TABLE).repositories(Reference.parse(name)) == addresses


# Proxies

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://dl.k8s.io/x", "", False),
        ("https://dl.k8s.io/x", "*", True),
        ("https://dl.k8s.io/x", "k8s.io", True),
        ("https://dl.k8s.io/x", ".k8s.io", True),
        ("https://dl.k8s.io/x", "*.k8s.io", True),
        ("https://k8s.io/x", ".k8s.io", False),
        ("https://notk8s.io/x", "k8s.io", False),
        ("https://DL.K8S.IO/x", "dl.k8s.io", True),
        ("https://dl.k8s.io/x", "dl.k8s.io:443", True),
        ("https://dl.k8s.io/x", "dl.k8s.io:8443", False),
        ("https://10.1.2.3/x", "10.0.0.0/8", True),
        ("https://11.1.2.3/x", "10.0.0.0/8", False),
        ("https://10.1.2.3:5000/x", " a.example , 10.1.2.3 ", True),
        ("https://10.1.2.3/x", "1.2.3", False),
        ("https://[fd00::1]/x", "fd00::/8", True),
        ("https://[fd00::1]/x", "fd00::1", True),
        ("https://127.0.0.1/x", "", True),
        ("https://localhost/x", "", True),
        ("https://dl.k8s.io/x", "10.0.0.0/99,,", False),
    ],
)
def test_no_proxy_is_read_as_by_the_kubelet(url: str, no_proxy: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert proxies.proxy(url, environ) == (None if direct else PROXY)


def test_a_proxy_is_for_its_kind_of_url() -> None:
    assert proxies.proxy("http://a/", {"HTTPS_PROXY": PROXY}) is None
    assert proxies.proxy("http://a/", {"http_proxy": "p:1"}) == "http://p:1"
    assert proxies.proxy("https://a/", {"ALL_PROXY": PROXY}) == PROXY
    assert (
        proxies.proxy("https://a/", {"https_proxy": "http://one", "HTTPS_PROXY": "http://two"})
        == "http://one"
    )
    assert proxies.proxy("https://a/", {}) is None


def test_a_proxy_of_another_kind_is_refused_without_its_password() -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        proxies.proxy("https://a/", {"https_proxy": "socks5://user:secret@p:1"})
    assert "socks5" in caught.value.message and "secret" not in caught.value.message
