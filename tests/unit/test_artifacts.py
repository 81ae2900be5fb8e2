"""What a release is made of, where it is asked for, and who is shown which password."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.artifacts import (
    cache,
    credentials,
    known,
    manifests,
    progress,
    proxies,
    releases,
    replies,
    resolve,
    sources,
)
from kubeboot.artifacts.download import Patience
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.manifests import Manifest
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.trouble import Failure
from kubeboot.config import versions
from kubeboot.config.spec import Artifacts, ClusterSpec
from kubeboot.host.facts import Facts
from kubeboot.plan import init as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import images, runtime
from tests.unit.test_bundle import CONTENTS, pack

# The lock in the package

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


# Sources


def test_a_bundle_of_another_version_or_architecture_is_refused(tmp_path: Path) -> None:
    pack.write(tmp_path / "b", CONTENTS)
    wanted = Artifacts(bundle=str(tmp_path / "b"))
    assert sources.source(wanted, "v1.37.1", "amd64").catalog().kubernetes_version == "v1.37.1"
    for version, arch in (("v1.36.4", "amd64"), ("v1.37.1", "arm64")):
        with pytest.raises(errors.ConfigInvalid, match=r"holds Kubernetes v1\.37\.1 for amd64") as caught:
            sources.source(wanted, version, arch)
        assert f"--kubernetes-version {version} --arch {arch}" in str(caught.value.hint)


@pytest.mark.parametrize("field", ["bundle", "directory"])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, field: str) -> None:
    wanted = Artifacts(**{field: str(tmp_path / "none")})
    with pytest.raises(errors.ConfigInvalid, match=f"there is no {field} {tmp_path}/none") as caught:
        sources.source(wanted, "v1.37.1", "amd64")
    assert caught.value.reason == "KB_ARTIFACT" and caught.value.hint


def test_a_bundle_that_is_a_directory_is_one(tmp_path: Path) -> None:
    source = sources.source(
        Artifacts(bundle=str(tmp_path), lock_file=str(tmp_path / "l")), "v1.37.1", "amd64"
    )
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
        "from kubeboot.config.spec import Artifacts\n"
        "found = sources.source(Artifacts(bundle=sys.argv[1]), 'v1.37.1', 'amd64')\n"
        "found.verify(); assert b''.join(found.binary(found.catalog().binary('kubelet')))\n"
        "assert list(found.image(found.catalog().image('etcd')))\n"
        "assert sources.source(Artifacts(lock_file='/none'), 'v1.37.1', 'amd64', peek=True).catalog()\n"
        "assert not {'httpx2', 'httpcore2', 'httpx', 'urllib3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], check=True)


def test_a_plan_can_be_made_before_anything_is_known(tmp_path: Path) -> None:
    spec = ClusterSpec(artifacts=Artifacts(lock_file=str(tmp_path / "none")))
    node = nodes.settings(spec, Facts(hostname="cp-1", default_source="192.0.2.1"), "control_plane")
    source = sources.source(spec.artifacts, spec.kubernetes_version, "amd64", peek=True)
    steps = {step.id for step in planning.plan(spec, node, source, 2, ()).steps}
    assert {"runtime/binary-runc", "runtime/cni-flannel", "images/etcd", "kubelet/binary"} <= steps


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


# Sums as upstreams publish them

SUM = "5" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SUM, SUM),
        (f"{SUM}\n", SUM),
        (SUM.upper().replace("5", "A"), "a" * 64),
        (f"{SUM}  runc.amd64\n", SUM),
        (f"{SUM} *runc.amd64\n", SUM),
        (f"{'1' * 64}  runc.amd64.asc\n{SUM}  ./bin/runc.amd64\n", SUM),
        (f"{'1' * 64}  runc.arm64\n", None),
        (f"{'1' * 64}\n{SUM}\n", None),
        ("", None),
        ("404: Not Found", None),
        ("<html>", None),
        (f"{SUM}5", None),
        (f"{SUM[1:]}  runc.amd64", None),
    ],
)
def test_a_published_sum_is_found_or_not(text: str, found: str | None) -> None:
    assert resolve.published_sum(text, "https://h/v1/runc.amd64?x=y") == found


@given(st.text(max_size=200))
def test_a_published_sum_is_a_sum(text: str) -> None:
    found = resolve.published_sum(text, "https://h/kubelet")
    assert found is None or (len(found) == 64 and found in text.lower())


# Locks

ENTRIES = st.builds(
    Entry,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.integers(0, 1 << 40),
    st.dictionaries(
        st.text("ab/", min_size=1), st.builds(Entry, st.just(SUM), st.integers(1, 9)), max_size=2
    ),
)
LOCKS = st.builds(
    Known,
    st.dictionaries(st.text(min_size=1, max_size=9), ENTRIES, max_size=3),
    st.dictionaries(
        st.text(min_size=1, max_size=9),
        st.dictionaries(st.sampled_from(["amd64", "arm64"]), ENTRIES, min_size=1),
        max_size=3,
    ),
)


@given(LOCKS)
def test_a_lock_is_what_was_written(lock: Known) -> None:
    assert known.parse(json.loads(json.dumps(known.plain(lock)))) == lock


@given(LOCKS, LOCKS)
def test_together_both_hold_or_neither(one: Known, other: Known) -> None:
    try:
        both = one.over(other)
    except errors.ConfigInvalid as error:
        assert "contradict" in error.message
        return
    assert both == other.over(one)
    for part in (one, other):
        assert part.over(both) == both


def test_sizes_and_members_add_up() -> None:
    one = Entry(SUM, 0, {"a": Entry("1" * 64)})
    other = Entry(SUM, 7, {"b": Entry("2" * 64)})
    assert one.over(other) == Entry(SUM, 7, {"a": Entry("1" * 64), "b": Entry("2" * 64)})


# Credentials


def login(tmp_path: Path, data: object, mode: int = 0o600) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data))
    path.chmod(mode)
    return str(path)


AUTH = base64.b64encode(b"me:pass:word").decode()


def test_credentials_are_found_by_their_registry(tmp_path: Path) -> None:
    found = credentials.read(
        login(
            tmp_path,
            {
                "auths": {
                    "r.example:5000": {"auth": AUTH},
                    "https://q.example/v2/": {"username": "you", "password": "word"},
                    "https://index.docker.io/v1/": {"auth": AUTH},
                    "helper.example": {},
                }
            },
        )
    )
    assert found.basic("r.example:5000") == f"Basic {AUTH}"
    assert found.basic("q.example") == f"Basic {base64.b64encode(b'you:word').decode()}"
    assert found.basic("registry-1.docker.io") == f"Basic {AUTH}"
    assert found.basic("helper.example") is None and found.basic("r.example") is None
    assert "pass" not in repr(found)


@pytest.mark.parametrize(
    "data", [7, [], {}, {"auths": 7}, {"auths": {"r": 7}}, {"auths": {"r": {"auth": "%"}}}]
)
def test_credentials_that_are_none_are_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(errors.ConfigInvalid, match="is not a file of registry credentials"):
        credentials.read(login(tmp_path, data))


def test_credentials_for_everybody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigInvalid, match="can be read by everybody") as caught:
        credentials.read(login(tmp_path, {"auths": {}}, 0o644))
    assert "chmod 600" in str(caught.value.hint)


def test_credentials_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigInvalid, match="none: cannot be read"):
        credentials.read(str(tmp_path / "none"))


# Patience, progress and manifests


def test_progress_is_told_now_and_then_and_of_all_together() -> None:
    said: list[str] = []
    now = [0.0]
    watch = progress.spoken(said.append, clock=lambda: now[0])
    watch.moved("https://h/kubelet", 10 << 20, 40 << 20)
    assert said == []
    now[0] = 5.0
    watch.moved("a layer", 3 << 20, 0)
    assert said == ["downloaded 13 MiB so far; now kubelet 25%, a layer 3 MiB"]
    watch.moved("https://h/kubelet", 40 << 20, 40 << 20)
    now[0] = 10.0
    watch.moved("a layer", 4 << 20, 4 << 20)
    assert said[1:] == ["downloaded 44 MiB so far"]
    watch.said("found")
    assert said[-1] == "found"


def test_a_small_question_is_asked_again_while_that_may_help() -> None:
    slept: list[float] = []
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise Failure("no", again=True, after=9.0 if len(asked) == 2 else None)
        return "yes"

    assert Patience(tries=3, pauses=(1.0, 2.0), sleep=slept.append)(ask) == "yes"
    assert slept == [1.0, 9.0]
    asked.clear()
    with pytest.raises(Failure):
        Patience(tries=2, pauses=(1.0,), sleep=slept.append)(ask)


def test_what_cannot_change_is_asked_once() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise Failure("never")

    with pytest.raises(Failure):
        Patience(sleep=lambda seconds: None)(ask)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "said", "again", "after"),
    [
        (503, "3", True, 3.0), (429, "999999", True, 120.0), (429, "soon", True, None),
        (404, "", False, None),
        (429, "Thu, 01 Jan 1970 00:00:00 GMT", True, 0.0), (401, "", False, None), (599, "", False, None),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, said: str, again: bool, after: float | None) -> None:
    reply = replies.Reply(status, {"retry-after": said}, "https://h/", iter(()))
    failure = replies.problem(reply)
    assert failure is not None
    assert (failure.again, failure.after) == (again, after)
    assert str(status) in failure.why


def test_a_manifest_knows_its_parts_once() -> None:
    part = {"mediaType": "m", "digest": f"sha256:{SUM}", "size": 3}
    data = json.dumps({"schemaVersion": 2, "config": part, "layers": [part, part]}).encode()
    found: Manifest = manifests.parse(data)
    assert len(found.blobs) == 1
    assert found.size == len(data) + 3


@pytest.mark.parametrize(
    "digest", ["sha256:../../etc/passwd", "sha256:", f"sha256:{SUM}\n", f"sha512:{SUM}", 7, None]
)
def test_a_digest_is_never_a_path(digest: object) -> None:
    part = {"mediaType": "m", "digest": digest, "size": 3}
    with pytest.raises(ValueError, match="not an image's manifest"):
        manifests.parse(json.dumps({"schemaVersion": 2, "config": part, "layers": []}).encode())
