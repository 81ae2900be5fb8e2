"""What a release is made of: the lock in the package, and which versions it has."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.artifacts import releases
from kubeboot.artifacts.known import Known
from kubeboot.config import versions
from kubeboot.steps import images, runtime

KUBEADM = {  # cmd/kubeadm/app/constants of each version: etcd, CoreDNS, pause
    "v1.37.1": ("3.7.0-0", "v1.14.6", "3.10.2"),
    "v1.36.4": ("3.6.8-0", "v1.14.2", "3.10.2"),
}


def test_every_supported_minor_is_in_the_lock_in_its_newest_patch() -> None:
    newest = {release.version for release in versions.RELEASES.values()}
    assert newest == set(KUBEADM)
    for version in newest:
        assert releases.release(version, "amd64").kubernetes_version == version


@pytest.mark.parametrize("version", KUBEADM)
@pytest.mark.parametrize("arch", releases.ARCHITECTURES)
def test_a_release_has_all_that_the_steps_need(version: str, arch: str) -> None:
    found = releases.release(version, arch)
    names = {each.name for each in found.executables}
    wanted = {*runtime.BINARIES, *(f"cni-{name}" for name in runtime.PLUGINS), "kubelet", "kubectl"}
    assert names == wanted
    assert {each.component for each in found.pictures} == set(images.CONTROL_PLANE)
    assert all(each.url.startswith("https://") or each.image for each in found.executables)
    assert all(each.sums.startswith("https://") for each in found.executables if each.url)
    assert all(arch in each.url for each in found.executables if each.url)
    assert not any("{" in f"{each}" for each in (*found.executables, *found.pictures))


@pytest.mark.parametrize("version", KUBEADM)
def test_images_are_those_that_kubeadm_pairs(version: str) -> None:
    etcd, coredns, pause = KUBEADM[version]
    found = {each.component: each.name for each in releases.release(version, "amd64").pictures}
    assert found["etcd"] == f"registry.k8s.io/etcd:{etcd}"
    assert found["coredns"] == f"registry.k8s.io/coredns/coredns:{coredns}"
    assert found["pause"] == f"registry.k8s.io/pause:{pause}"
    assert found["kube-proxy"] == f"registry.k8s.io/kube-proxy:{version}"


def test_another_patch_is_asked_for_by_its_own_number() -> None:
    found = releases.release("v1.37.0", "amd64")
    assert found.kubernetes_version == "v1.37.0"
    assert "https://dl.k8s.io/release/v1.37.0/bin/linux/amd64/kubelet" in found.urls()


def test_no_sum_in_the_package_is_invented() -> None:
    """Nothing upstream could be asked when this was written: what is not known is not there."""
    assert releases.shipped() == Known()


def test_another_repository_follows_kubeadms_rule() -> None:
    found = {e.component: e.name for e in releases.release("v1.37.1", "amd64", "r.example:5000/k8s").pictures}
    assert found["kube-apiserver"] == "r.example:5000/k8s/kube-apiserver:v1.37.1"
    assert found["coredns"] == "r.example:5000/k8s/coredns:v1.14.6"
    assert found["haproxy"].startswith("docker.io/library/haproxy:")


@pytest.mark.parametrize(
    ("version", "arch"), [("v1.35.0", "amd64"), ("nonsense", "amd64"), ("v1.37.1", "riscv64")]
)
def test_what_is_not_supported_is_said(version: str, arch: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        releases.release(version, arch)
    assert caught.value.hint
