"""Where a release's files come from: a bundle, a directory, the internet; and what needs no network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.artifacts import cache, pack, sources
from kubeboot.config.spec import Artifacts, ClusterSpec
from kubeboot.host.facts import Facts
from kubeboot.plan import init as planning
from kubeboot.plan import node as nodes
from tests.unit.bundle_support import CONTENTS


def test_a_bundle_of_another_version_or_architecture_is_refused(tmp_path: Path) -> None:
    pack.write(tmp_path / "b", CONTENTS)
    spec = ClusterSpec(kubernetes_version="v1.37.1", artifacts=Artifacts(bundle=str(tmp_path / "b")))
    assert sources.source(spec, "amd64").catalog().kubernetes_version == "v1.37.1"
    for version, arch in (("v1.36.4", "amd64"), ("v1.37.1", "arm64")):
        with pytest.raises(errors.ConfigInvalid, match=r"holds Kubernetes v1\.37\.1 for amd64") as caught:
            sources.source(spec.model_copy(update={"kubernetes_version": version}), arch)
        assert f"--kubernetes-version {version} --arch {arch}" in str(caught.value.hint)


@pytest.mark.parametrize("field", ["bundle", "directory"])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, field: str) -> None:
    wanted = Artifacts(**{field: str(tmp_path / "none")})
    with pytest.raises(errors.ConfigInvalid, match=f"there is no {field} {tmp_path}/none") as caught:
        sources.source(ClusterSpec(artifacts=wanted), "amd64")
    assert caught.value.reason == "KB_ARTIFACT" and caught.value.hint


def test_a_bundle_that_is_a_directory_is_one(tmp_path: Path) -> None:
    wanted = Artifacts(bundle=str(tmp_path), lock_file=str(tmp_path / "l"))
    source = sources.source(ClusterSpec(artifacts=wanted), "amd64")
    with pytest.raises(errors.ConfigInvalid, match=f"which directory {tmp_path} should hold"):
        source.catalog()


def test_places_are_roots_or_the_users() -> None:
    assert str(sources.lock_path({}, 0)) == "/etc/kubeboot/lock.yaml"
    assert str(sources.lock_path({"HOME": "/home/u"}, 7)) == "/home/u/.config/kubeboot/lock.yaml"
    assert str(sources.lock_path({"XDG_CONFIG_HOME": "/x"}, 7)) == "/x/kubeboot/lock.yaml"
    assert str(cache.place({}, 0)) == "/var/cache/kubeboot"
    assert str(cache.place({"HOME": "/home/u"}, 7)) == "/home/u/.cache/kubeboot"
    assert str(cache.place({"XDG_CACHE_HOME": "/x"}, 7)) == "/x/kubeboot"


def test_a_bundle_and_a_dry_run_need_no_network_at_all(tmp_path: Path) -> None:
    """Every socket is refused, and the library for HTTP is not even loaded."""
    pack.write(tmp_path / "b", CONTENTS)
    code = (
        "import socket, ssl, sys\n"
        "def none(*a, **k): raise AssertionError('a socket')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = none\n"
        "from kubeboot.artifacts import sources\n"
        "from kubeboot.config.spec import Artifacts, ClusterSpec\n"
        "def source(**where):\n"
        "    return sources.source(ClusterSpec(artifacts=Artifacts(**where)), 'amd64', peek=True)\n"
        "found = source(bundle=sys.argv[1])\n"
        "found.verify(); assert b''.join(found.binary(found.catalog().binary('kubelet')))\n"
        "assert list(found.image(found.catalog().image('etcd')))\n"
        "assert source(lock_file='/none').catalog()\n"
        "assert not {'httpx2', 'httpcore2', 'httpx', 'urllib3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], check=True)


def test_a_plan_can_be_made_before_anything_is_known(tmp_path: Path) -> None:
    spec = ClusterSpec(artifacts=Artifacts(lock_file=str(tmp_path / "none")))
    node = nodes.settings(spec, Facts(hostname="cp-1", default_source="192.0.2.1"), "control_plane")
    source = sources.source(spec, "amd64", peek=True)
    steps = {step.id for step in planning.plan(spec, node, source, ()).steps}
    assert {"runtime/binary-runc", "runtime/cni-flannel", "images/etcd", "kubelet/binary"} <= steps
