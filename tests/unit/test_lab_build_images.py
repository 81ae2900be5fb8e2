"""Layers, files out of Debian packages, and upstream releases."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lablib import build_debian, build_files, build_layers, build_upstream, lock

from kubeboot import errors
from kubeboot.artifacts import oci


@pytest.fixture
def root(tmp_path: Path) -> build_files.Root:
    """A merged root: /usr/bin/t links to the script /usr/bin/tool; /etc/alternative links absolutely."""
    home = tmp_path / "root"
    for each in ("usr/bin", "usr/lib", "etc", "usr/share/certs"):
        (home / each).mkdir(parents=True)
    (home / "bin").symlink_to("usr/bin")
    (home / "usr/bin/tool").write_text("#!/bin/sh\n")
    (home / "usr/bin/tool").chmod(0o755)
    (home / "usr/bin/t").symlink_to("tool")
    (home / "etc/alternative").symlink_to("/bin/t")
    (home / "usr/share/certs/b.crt").write_text("B\n")
    (home / "usr/share/certs/a.crt").write_text("A\n")
    return build_files.Root(home, "amd64")


def test_links_are_followed_inside_the_root(root: build_files.Root) -> None:
    assert root.closure(["/etc/alternative"]) == {"/etc/alternative", "/usr/bin/t", "/usr/bin/tool"}


def test_paths_of_a_merged_usr_have_one_name(root: build_files.Root) -> None:
    assert root.closure(["/bin/tool"]) == {"/usr/bin/tool"}


def test_a_pattern_without_a_match_is_an_error(root: build_files.Root) -> None:
    with pytest.raises(errors.KubebootError, match="no Debian package has /usr/bin/none"):
        root.closure(["/usr/bin/none"])


def read(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {each.name: each for each in tar}


LAYER = lock.Layer(
    binaries={"app": "/opt/bin/app"},
    debian=("/usr/bin/t",),
    concat={"/etc/certs.pem": "/usr/share/certs/*.crt"},
    directories={"/var/lib/app": "0700"},
    links={"/usr/sbin/app": "/opt/bin/app"},
    text={"/etc/hello": "hi\n"},
    scripts={"/entry": "#!/bin/sh\n"},
    owners={"/var/lib/app": "99:98"},
    capabilities={"/opt/bin/app": "cap_net_bind_service"},
    applets=("sh",),
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.write_bytes(b"app")
    return path


def test_a_layer_has_what_it_lists(root: build_files.Root, app: Path, tmp_path: Path) -> None:
    build_layers.write(tmp_path / "l", build_layers.nodes(LAYER, root, {"app": app}, frozenset()))
    found = read(tmp_path / "l")
    assert list(found) == sorted(found)
    assert {name for name, each in found.items() if not each.isdir()} == {
        "entry", "etc/certs.pem", "etc/hello", "opt/bin/app",
        "usr/bin/sh", "usr/bin/t", "usr/bin/tool", "usr/sbin/app",
    }  # fmt: skip
    assert found["usr/bin/t"].linkname == "tool" and found["usr/bin/sh"].linkname == "busybox"
    assert found["opt/bin/app"].mode == found["entry"].mode == found["usr/bin/tool"].mode == 0o755
    assert found["etc/hello"].mode == 0o644
    data = found["var/lib/app"]
    assert (data.isdir(), data.mode, data.uid, data.gid) == (True, 0o700, 99, 98)
    assert {each.mtime for each in found.values()} == {0}
    assert {(each.uid, each.gid) for name, each in found.items() if name != "var/lib/app"} == {(0, 0)}
    with tarfile.open(tmp_path / "l") as tar:
        assert tar.extractfile("etc/certs.pem").read() == b"A\nB\n"  # type: ignore[union-attr]


def test_a_file_capability_has_the_kernels_form(root: build_files.Root, app: Path, tmp_path: Path) -> None:
    build_layers.write(tmp_path / "l", build_layers.nodes(LAYER, root, {"app": app}, frozenset()))
    value = read(tmp_path / "l")["opt/bin/app"].pax_headers["SCHILY.xattr.security.capability"]
    assert value.encode() == bytes.fromhex("0100000200040000000000000000000000000000")


def test_the_same_layer_is_the_same_bytes(root: build_files.Root, app: Path, tmp_path: Path) -> None:
    entries = build_layers.nodes(LAYER, root, {"app": app}, frozenset())
    build_layers.write(tmp_path / "one", entries)
    app.touch()
    build_layers.write(tmp_path / "two", dict(reversed(list(entries.items()))))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_the_layers_below_have_is_not_repeated(root: build_files.Root, app: Path) -> None:
    below = root.closure(["/usr/bin/tool"])
    entries = build_layers.nodes(LAYER, root, {"app": app}, below)
    assert "/usr/bin/t" in entries and "/usr/bin/tool" not in entries


def test_a_config_says_only_what_is_set() -> None:
    image = lock.Image("x", entrypoint=("/pause",), user="65535:65535")
    config = json.loads(build_layers.config(image, "arm64", ("sha256:aa", "sha256:bb")))
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:aa", "sha256:bb"]}
    assert config["config"].keys() == {"Env", "Entrypoint", "User", "WorkingDir"}


def test_a_debian_version_loses_epoch_and_revision(tmp_path: Path) -> None:
    (tmp_path / "versions").write_text("haproxy\t2.6.12-1+deb12u4\nconntrack\t1:1.4.7-1+b2\n")
    assert build_debian.version(tmp_path, "haproxy") == "2.6.12"
    assert build_debian.version(tmp_path, "conntrack") == "1.4.7"
    with pytest.raises(errors.KubebootError, match="nginx"):
        build_debian.version(tmp_path, "nginx")


@pytest.mark.parametrize(
    "text",
    ["aa\n", "aa  tool.tgz\n", "bb  other.tgz\naa *tool.tgz\n", "bb  x-tool.tgz\naa  ./dist/tool.tgz\n"],
)
def test_a_published_sum_is_found_in_every_form(text: str) -> None:
    assert build_upstream.published_sum(text, "tool.tgz") == "aa"


@pytest.mark.parametrize("text", ["", "bb  other.tgz\n", "<html>not found</html> x y\n"])
def test_no_published_sum_is_an_error(text: str) -> None:
    with pytest.raises(errors.ConfigInvalid):
        build_upstream.published_sum(text, "tool.tgz")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A release site: the directory that it serves, and its address."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield tmp_path / "site", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(directory: Path, name: str, data: bytes, sum_of: bytes | None = None) -> None:
    (directory / name).write_bytes(data)
    wanted = hashlib.sha256(data if sum_of is None else sum_of).hexdigest()
    (directory / f"{name}.sha256").write_text(f"{wanted}  {name}\n")


def test_a_release_file_is_fetched(site: tuple[Path, str], tmp_path: Path) -> None:
    publish(site[0], "kubelet-arm64", b"kubelet")
    upstream = lock.Upstream(site[1] + "/{name}-{arch}", "{url}.sha256")
    assert build_upstream.Releases().fetch(upstream, "kubelet", "arm64", tmp_path / "kubelet")
    assert (tmp_path / "kubelet").read_bytes() == b"kubelet"


def test_a_release_archives_member_is_taken(site: tuple[Path, str], tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("./bridge")
        info.size = 6
        tar.addfile(info, io.BytesIO(b"bridge"))
    publish(site[0], "cni.tgz", packed.getvalue())
    upstream = lock.Upstream(site[1] + "/cni.tgz", "{url}.sha256", "./{plugin}")
    assert build_upstream.Releases().fetch(upstream, "cni-bridge", "amd64", tmp_path / "bridge")
    assert (tmp_path / "bridge").read_bytes() == b"bridge"
    with pytest.raises(errors.ConfigInvalid, match=r"no file \./portmap"):
        build_upstream.Releases().fetch(upstream, "cni-portmap", "amd64", tmp_path / "portmap")


def test_a_release_with_a_wrong_sum_is_fatal(site: tuple[Path, str], tmp_path: Path) -> None:
    publish(site[0], "runc", b"bad", sum_of=b"good")
    upstream = lock.Upstream(site[1] + "/runc", "{url}.sha256")
    with pytest.raises(errors.ConfigInvalid, match="published sum"):
        build_upstream.Releases().fetch(upstream, "runc", "amd64", tmp_path / "runc")
    assert not (tmp_path / "runc").exists()


def test_a_site_that_does_not_answer_is_asked_once(site: tuple[Path, str], tmp_path: Path) -> None:
    releases, upstream = build_upstream.Releases(), lock.Upstream(site[1] + "/runc", "{url}.sha256")
    assert not releases.fetch(upstream, "runc", "amd64", tmp_path / "runc")
    publish(site[0], "runc", b"now it is there")
    assert not releases.fetch(upstream, "runc", "amd64", tmp_path / "runc")
    assert build_upstream.Releases().fetch(upstream, "runc", "amd64", tmp_path / "runc")


def test_digests_name_blobs() -> None:
    assert oci.blob_name(oci.digest(b"")) == (
        "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
