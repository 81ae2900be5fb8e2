"""Files that nobody would give a program on purpose, by name: what a curated case calls `@name`."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

HEAD = b"apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"


def _tar(*names: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "/etc/shadow", 2 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"{}"))
    return out.getvalue()


def _kubeconfig(**changes: object) -> bytes:
    data: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return json.dumps({key: value for key, value in (data | changes).items() if value is not None}).encode()


def _server(url: object) -> bytes:
    return _kubeconfig(clusters=[{"name": "c", "cluster": {"server": url}}])


def _cluster(**fields: object) -> bytes:
    return _kubeconfig(clusters=[{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **fields}}])


def _user(**fields: object) -> bytes:
    return _kubeconfig(users=[{"name": "u", "user": fields}])


def _etcd(kind: str = "EtcdAccess", **changes: object) -> bytes:
    data: dict[str, object] = {
        "apiVersion": "kubeboot.io/v1alpha1",
        "kind": kind,
        "authority": CERTIFICATE.decode(),
        "endpoints": ["https://192.0.2.1:2379"],
        "certificate": CERTIFICATE.decode(),
        "key": KEY.decode(),
    }
    return json.dumps({key: value for key, value in (data | changes).items() if value is not None}).encode()


def _bbolt() -> bytes:
    """A first page with a right sum whose tree leads to itself."""
    meta = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, 4096, 0, 1, 0, 0, 2, 1)
    total = 0xCBF29CE484222325
    for byte in meta:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    first = bytes(16) + meta + struct.pack("<Q", total)
    branch = struct.pack("<QHHI", 1, 1, 1, 0) + struct.pack("<IIQ", 0, 0, 1)
    return first.ljust(4096, b"\0") + branch.ljust(4096, b"\0")


def _sealed(data: bytes) -> bytes:
    import hashlib

    data = data.ljust(-(-len(data) // 512) * 512, b"\0")
    return data + hashlib.sha256(data).digest()


def _bomb(inner: str, outer: str) -> bytes:
    return f"{outer}: &{outer} [{','.join([f'*{inner}'] * 9)}]\n".encode()


CONTENTS: Mapping[str, bytes] = {
    # no text, or not the text that is meant
    "empty": b"",
    "blank": b"\n \n",
    "nul": b"\0",
    "nuls": bytes(4096),
    "binary": bytes(range(256)) * 16,
    "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
    "latin1": b"clusterName: caf\xe9\n",
    "utf16": "apiVersion: v1\nkind: Config\n".encode("utf-16"),
    "utf32": "apiVersion: v1\n".encode("utf-32"),
    "surrogate": b"a: \xed\xa0\x80\n",
    "overlong": b"a: \xc0\xaf\n",
    "bom": b"\xef\xbb\xbf",
    "bom-text": b"\xef\xbb\xbfa: b\n",
    "crlf": b"a: b\r\nc: d\r\n",
    "cr": b"a: b\rc: d\r",
    "escape": b"\x1b[31mred\x1b[0m\x07\n",
    "word": b"hello",
    "number": b"42",
    "huge-number": b"9" * 5000,
    "huge-exponent": b"1e999999999",
    "long-line": b"a" * 900_000,
    "newlines": b"\n" * 900_000,
    "html": b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>\n",
    "json-cut": b'{"apiVersion": "v1", "kind"',
    "json-list": b'[{"a": 1}]',
    "json-null": b"null",
    "json-deep": b"[" * 100_000 + b"]" * 100_000,
    "json-nan": b'{"a": NaN, "b": Infinity}',
    "json-twice": b'{"a": 1, "a": 2}',
    # YAML
    "yaml-empty-documents": b"---\n---\n",
    "yaml-deep": b"- " * 50_000 + b"a\n",
    "yaml-deep-map": b"{a: " * 50_000,
    "yaml-bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(_bomb(*pair) for pair in zip("abcdefgh", "bcdefghi", strict=True)),
    "yaml-self": b"&a [*a]\n",
    "yaml-self-map": b"&a {b: *a}\n",
    "yaml-anchor": b"a: *unknown\n",
    "yaml-tab": b"a:\n\tb: c\n",
    "yaml-tag": b"!!python/object/apply:os.system ['true']\n",
    "yaml-tag-new": b"!!python/object/new:os.system ['true']\n",
    "yaml-vault": b"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
    "yaml-date": b"a: 2026-13-45\n",
    "yaml-binary": b"a: !!binary '!'\n",
    "yaml-merge": b"a: &a {b: c}\nd: {<<: [*a, 1]}\n",
    "yaml-merge-self": b"a: &a\n  <<: *a\n",
    "yaml-set": b"!!set {a, b}\n",
    "yaml-omap": b"!!omap [a: b]\n",
    "yaml-list-key": b"? [a]\n: b\n",
    "yaml-map-key": b"? {a: b}\n: c\n",
    "yaml-int-key": b"1: a\n",
    "yaml-twice": b"a: 1\na: 2\n",
    "yaml-directive": b"%YAML 9.9\n---\na: b\n",
    "yaml-int-base": b"a: 1:99:99:99\n",
    "yaml-int-big": b"a: 0x" + b"f" * 4000 + b"\n",
    "yaml-int-long": b"a: " + b"9" * 5000 + b"\n",
    # PEM
    "pem-cut": b"-----BEGIN CERTIFICATE-----\nMIIB\n",
    "pem-no-base64": b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    "pem-empty": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "pem-key": KEY,
    "pem-other": b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    "pem-crossed": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END PRIVATE KEY-----\n",
    # archives
    "gzip-cut": gzip.compress(b"a" * 1000)[:-9],
    "gzip-head": b"\x1f\x8b\x08\x00",
    "gzip-tar": gzip.compress(_tar("index.json")),
    "zstd": b"\x28\xb5\x2f\xfd\x04\x00\x01",
    "xz": b"\xfd7zXZ\x00\x00\x04",
    "bzip2": b"BZh91AY&SY",
    "zip": b"PK\x03\x04" + bytes(30),
    "tar-empty": bytes(1024),
    "tar-cut": _tar("index.json")[:700],
    "tar-up": _tar("../../../etc/cron.d/x"),
    "tar-root": _tar("/etc/cron.d/x"),
    "tar-symlink": _tar("index.json", kind=tarfile.SYMTYPE),
    "tar-hardlink": _tar("index.json", kind=tarfile.LNKTYPE),
    "tar-device": _tar("index.json", kind=tarfile.BLKTYPE),
    "tar-fifo": _tar("index.json", kind=tarfile.FIFOTYPE),
    "tar-twice": _tar("index.json", "index.json"),
    "tar-other": _tar("README"),
    "tar-layout": _tar("oci-layout", "index.json", "index.json.sha256"),
    "tar-long": _tar("a" * 5000),
    "tar-odd": _tar("a\nb\x1b[31m"),
    # kubeconfigs
    "kc-empty-map": b"{}",
    "kc-no-clusters": _kubeconfig(clusters=None),
    "kc-clusters-null": b"apiVersion: v1\nkind: Config\nclusters:\nusers:\ncontexts:\ncurrent-context: x\n",
    "kc-clusters-text": _kubeconfig(clusters="c"),
    "kc-clusters-map": _kubeconfig(clusters={"c": 1}),
    "kc-clusters-words": _kubeconfig(clusters=["c"]),
    "kc-cluster-null": _kubeconfig(clusters=[{"name": "c", "cluster": None}]),
    "kc-cluster-missing": _kubeconfig(clusters=[{"name": "other", "cluster": {"server": "https://a"}}]),
    "kc-no-contexts": _kubeconfig(contexts=None),
    "kc-contexts-empty": _kubeconfig(contexts=[]),
    "kc-no-current": _kubeconfig(**{"current-context": None}),
    "kc-other-current": _kubeconfig(**{"current-context": "y"}),
    "kc-current-list": _kubeconfig(**{"current-context": ["x"]}),
    "kc-context-null": _kubeconfig(contexts=[{"name": "x", "context": None}]),
    "kc-no-server": _kubeconfig(clusters=[{"name": "c", "cluster": {}}]),
    "kc-no-user": _kubeconfig(users=[]),
    "kc-user-null": _kubeconfig(users=[{"name": "u", "user": None}]),
    "kc-exec": _user(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}),
    "kc-auth-provider": _user(**{"auth-provider": {"name": "gcp"}}),
    "kc-password": _user(username="a", password="b"),
    "kc-token-newline": _user(token="a\r\nX-Evil: 1"),
    "kc-token-unicode": _user(token="тайна"),
    "kc-token-file": _user(tokenFile="/nonexistent/token"),
    "kc-token-binary": _user(tokenFile="/bin/sh"),
    "kc-token-dir": _user(tokenFile="/etc"),
    "kc-cert-bad": _user(**{"client-certificate-data": "!!!", "client-key-data": "!!!"}),
    "kc-cert-list": _user(**{"client-certificate-data": [1]}),
    "kc-cert-word": _user(**{"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}),
    "kc-cert-file": _user(**{"client-certificate": "/nonexistent", "client-key": "/nonexistent"}),
    "kc-ca-bad": _cluster(**{"certificate-authority-data": "!!!"}),
    "kc-ca-word": _cluster(**{"certificate-authority-data": "aGVsbG8="}),
    "kc-ca-file": _cluster(**{"certificate-authority": "/nonexistent"}),
    "kc-http": _server("http://127.0.0.1:1"),
    "kc-ftp": _server("ftp://127.0.0.1:1"),
    "kc-file-url": _server("file:///etc/passwd"),
    "kc-no-scheme": _server("127.0.0.1:6443"),
    "kc-empty-url": _server(""),
    "kc-null-url": _server(None),
    "kc-list-url": _server(["https://a"]),
    "kc-int-url": _server(6443),
    "kc-port-word": _server("https://127.0.0.1:https"),
    "kc-port-big": _server("https://127.0.0.1:99999"),
    "kc-port-minus": _server("https://127.0.0.1:-1"),
    "kc-zone": _server("https://[fe80::1%25eth0]:6443"),
    "kc-bracket": _server("https://[::1"),
    "kc-userinfo": _server("https://user:secret@127.0.0.1:1"),
    "kc-homoglyph": _server("https://kub\u0435rnetes.example:6443"),
    "kc-idna": _server(f"https://{'ü' * 70}.example:6443"),
    "kc-space": _server("https://127.0.0.1 :6443"),
    "kc-newline": _server("https://127.0.0.1\r\nHost: evil"),
    "kc-nul": _server("https://127.0.0.1\0"),
    "kc-label-long": _server(f"https://{'a' * 64}.example:6443"),
    "kc-dots": _server("https://..:6443"),
    "kc-sni-bad": _cluster(**{"tls-server-name": "a b\0"}),
    "kc-sni-list": _cluster(**{"tls-server-name": ["a"]}),
    "kc-sni-unicode": _cluster(**{"tls-server-name": "é" * 80}),
    # files of etcd's machines
    "etcd-kind": _etcd("EtcdThing"),
    "etcd-other-kind": _etcd("EtcdInvitation"),
    "etcd-no-key": _etcd(key=None),
    "etcd-key-list": _etcd(key=["a"]),
    "etcd-key-int": _etcd(key=1),
    "etcd-no-endpoints": _etcd(endpoints=None),
    "etcd-endpoints-empty": _etcd(endpoints=[]),
    "etcd-endpoints-text": _etcd(endpoints="https://a"),
    "etcd-endpoints-int": _etcd(endpoints=[1]),
    "etcd-endpoints-http": _etcd(endpoints=["http://192.0.2.1:2379"]),
    "etcd-endpoints-word": _etcd(endpoints=["a b"]),
    "etcd-version": _etcd(apiVersion="kubeboot.io/v9"),
    "inv-cluster-text": _etcd("EtcdInvitation", cluster="a"),
    "inv-cluster-list": _etcd("EtcdInvitation", cluster=[1]),
    "inv-cluster-field": _etcd("EtcdInvitation", cluster={"future": 1}),
    "inv-cluster-wrong": _etcd("EtcdInvitation", cluster={"etcd": {"dataDir": 1}}),
    "inv-access": _etcd("EtcdAccess"),
    # etcd's snapshots
    "snapshot-sum-only": _sealed(bytes(8192)),
    "snapshot-loop": _sealed(_bbolt()),
    "snapshot-flipped": _sealed(_bbolt())[:-1] + b"\0",
    "snapshot-cut": _sealed(_bbolt())[:-512],
    # locks and credentials
    "lock-format": b"format: 99\nfiles: {}\nimages: {}\n",
    "lock-files-list": b"format: 1\nfiles: [a]\nimages: {}\n",
    "lock-sum": b"format: 1\nfiles: {'https://a': {sha256: xyz}}\nimages: {}\n",
    "lock-image": b"format: 1\nfiles: {}\nimages: {a: {amd64: {digest: 1}}}\n",
    # tokens and keys
    "token-short": b"abc.def\n",
    "token-upper": b"ABCDEF.0123456789ABCDEF\n",
    "token-two": b"abcdef.0123456789abcdef\nabcdef.0123456789abcdef\n",
    "token-dots": b"abcdef..0123456789abcde\n",
    "token-homoglyph": "\u0430bcdef.0123456789abcdef\n".encode(),
    "key-short": b"0f" * 31,
    "key-upper-x": b"0x" + b"0f" * 31,
    "key-two": (b"0f" * 32 + b"\n") * 2,
    # inventories
    "inventory-no-groups": b"[all]\nh1\n",
    "inventory-no-planes": b"[kube_node]\nh1\n",
    "inventory-port": b"[kube_control_plane]\nh1 ansible_port=ssh\n",
    "inventory-connection": b"[kube_control_plane]\nh1 ansible_connection=winrm\n",
    "inventory-ssh-args": b"[kube_control_plane]\nh1 ansible_ssh_args='-Z'\n",
    "inventory-quotes": b"[kube_control_plane]\nh1 ansible_ssh_args=\"'\"\n",
    "inventory-taint": b"[kube_control_plane]\nh1 node_taints=\"['a']\"\n",
    "inventory-labels": b"[kube_control_plane]\nh1 node_labels=1\n",
    "inventory-same-address": b"[kube_control_plane]\nh1 ip=10.0.0.1\nh2 ip=10.0.0.1\n",
    "inventory-loop": b"[a:children]\nb\n[b:children]\na\n",
    "inventory-cluster": b"[kube_control_plane]\nh1 kubeboot_cluster=\"{a: [\"\n",
}  # fmt: skip


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.symlink_to("/nonexistent/file")


def _device(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


ODD: Mapping[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "directory": Path.mkdir,
    "fifo": os.mkfifo,
    "loop": _loop,
    "dangling": _dangling,
    "hundred-megabytes": _sparse,
    "dev-null": _device("/dev/null"),
    "dev-zero": _device("/dev/zero"),
    "dev-full": _device("/dev/full"),
    "dev-tty": _device("/dev/tty"),
    "proc-mem": _device("/proc/self/mem"),
    "proc-directory": _device("/proc/self/fd"),
}
NAMES: Mapping[str, bytes] = {
    "name-empty": b"",
    "name-nul": b"a\0b",
    "name-long": b"/tmp/" + b"a" * 5000,
    "name-under-file": b"/etc/hostname/a",
}


def make(directory: Path) -> Mapping[str, bytes]:
    """All of them in this directory: the path of each by its name, in bytes, because some are no text."""
    for name, data in CONTENTS.items():
        (directory / name).write_bytes(data)
    for name, act in ODD.items():
        act(directory / name)
    return {name: os.fsencode(directory / name) for name in (*CONTENTS, *ODD)} | dict(NAMES)
