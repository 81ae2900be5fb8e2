"""Kubeconfigs: kubeadm's shape, and back."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.pki import endpoint, kubeconfig
from kubeboot.pki.kubeconfig import Kubeconfig
from tests.fakes.pki import authority

GOLDEN = pathlib.Path(__file__).parent / "golden"
ADMIN = Kubeconfig(
    cluster="kubernetes",
    server="https://api.example.org:8443",
    authority=b"CA",
    user="kubernetes-admin",
    certificate=b"CERTIFICATE",
    key=b"KEY",
    tls_server_name="kubernetes",
)
KUBELET = Kubeconfig(
    cluster="kubernetes",
    server="https://[fd00::11]:6443",
    authority=b"CA",
    user="system:node:cp-1",
    certificate_file="/var/lib/kubelet/pki/kubelet-client-current.pem",
    key_file="/var/lib/kubelet/pki/kubelet-client-current.pem",
)
CLUSTER_INFO = Kubeconfig(cluster="", server="https://10.0.0.11:8443", authority=b"CA")


@pytest.mark.parametrize(
    ("name", "config"), [("admin", ADMIN), ("kubelet", KUBELET), ("cluster-info", CLUSTER_INFO)]
)
def test_golden(name: str, config: Kubeconfig) -> None:
    assert kubeconfig.encode(config).decode() == (GOLDEN / f"kubeconfig-{name}.yaml").read_text()


@given(
    st.builds(
        Kubeconfig,
        cluster=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        server=st.sampled_from(["https://10.0.0.1:6443", "https://[::1]:6443"]),
        authority=st.binary(),
        user=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        certificate=st.binary(),
        key=st.binary(),
        certificate_file=st.sampled_from(["", "/a.pem"]),
        token=st.sampled_from(["", "abcdef.0123456789abcdef", "1e3"]),
        tls_server_name=st.sampled_from(["", "kubernetes"]),
    )
)
def test_round_trip(config: Kubeconfig) -> None:
    assert kubeconfig.decode(kubeconfig.encode(config)) == config


def test_cluster_info_comes_back() -> None:
    assert kubeconfig.decode(kubeconfig.encode(CLUSTER_INFO)) == CLUSTER_INFO


def test_kubeadms_cluster_info_is_read() -> None:
    """As kubeadm v1.37.1 writes it."""
    text = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n"
    text += '    server: https://10.0.0.11:8443\n  name: ""\ncontexts: null\ncurrent-context: ""\n'
    assert kubeconfig.decode(text + "kind: Config\nusers: null\n") == CLUSTER_INFO


def test_the_current_context_is_what_counts() -> None:
    mine, other = (render.load(kubeconfig.encode(config)) for config in (ADMIN, KUBELET))
    both = {key: other[key] + mine[key] for key in ("clusters", "contexts", "users")}
    both["clusters"][0]["name"] = both["contexts"][0]["context"]["cluster"] = "elsewhere"
    found = kubeconfig.decode(render.dump({"current-context": ADMIN.context, **both}))
    assert found == ADMIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "just text",
        "{",
        "clusters: []",
        "current-context: x\ncontexts: []",
        "kind: Config\nclusters: 3",
    ],
)
def test_anything_else_is_an_error_that_shows_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a kubeconfig with a current context$"):
        kubeconfig.decode(text)


def test_broken_base64_is_an_error() -> None:
    text = kubeconfig.encode(ADMIN).decode().replace("client-key-data: S0VZ", "client-key-data: S0VZ!")
    with pytest.raises(ValueError, match="not a kubeconfig"):
        kubeconfig.decode(text)


def test_secrets_do_not_show() -> None:
    text = repr(dataclasses.replace(ADMIN, key=b"hidden-key", token="hidden-token"))
    assert "hidden" not in text


def test_differences() -> None:
    ca = authority().certificate
    wanted = dataclasses.replace(KUBELET, authority=ca)
    assert kubeconfig.differences(wanted, wanted) == ()
    assert (
        kubeconfig.differences(dataclasses.replace(wanted, authority=authority().certificate + ca), wanted)
        == ()
    )
    found = dataclasses.replace(wanted, server="https://10.0.0.1:6443", authority=b"", key_file="/x")
    assert kubeconfig.differences(found, wanted) == (
        "points at https://10.0.0.1:6443 instead of https://[fd00::11]:6443",
        "reads its key from /x instead of /var/lib/kubelet/pki/kubelet-client-current.pem",
        "trusts another authority",
    )
    assert kubeconfig.differences(wanted, dataclasses.replace(wanted, tls_server_name="kubernetes")) == (
        "verifies its server as nothing instead of kubernetes",
    )


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.example.org:8443", "api.example.org"),
        ("api.example.org", "api.example.org"),
        ("10.0.0.1:6443", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("[fd00::1]:6443", "fd00::1"),
        ("fd00::1", "fd00::1"),
    ],
)
def test_hosts_of_endpoints(text: str, host: str) -> None:
    assert endpoint.host_of(text) == host


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "api.example.org"])
def test_an_endpoints_host_comes_back(host: str) -> None:
    assert endpoint.host_of(endpoint.join(host, 6443)) == host
    assert endpoint.url(host, 6443).startswith("https://")


def test_the_service_kubernetes_has_the_first_address() -> None:
    assert endpoint.first_addresses("10.96.0.0/12") == ("10.96.0.1",)
    assert endpoint.first_addresses("10.96.0.0/16,fd01::/108") == ("10.96.0.1", "fd01::1")
