"""The support file: everything that helps, nothing that is secret, and never over something that is there."""

from __future__ import annotations

import base64
import datetime
import json
import stat
import string
import tarfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.cli import actions
from kubeboot.fleet import orders, support
from kubeboot.fleet.support import redact
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Process
from kubeboot.pki import build, pem
from tests.fakes.api import FakeApi
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.unit.cli_support import run

AT = datetime.datetime(2026, 11, 21, 3, 0, tzinfo=datetime.UTC)
KEY = "-----BEGIN PRIVATE KEY-----\n{0}\n-----END PRIVATE KEY-----\n"
LINES = {name: f"MIGHAgEAMBMGByqGSM49canary{name}" for name in ("ca", "sa", "etcd", "kubelet", "embedded")}
CANARIES = {
    **{f"key-{name}": line for name, line in LINES.items()},
    "data": base64.b64encode(KEY.format(LINES["embedded"]).encode()).decode(),
    "token": "0123456789abcdef",
    "bearer": "canary-bearer-of-a-kubeconfig",
    "env": "canary-in-the-environment",
    "flag": "canary-oidc-secret",
    "registry": "canary-registry-password",
    "login": "canary-docker-login",
    "proxy": "canary-proxy-password",
    "logged": "canary-that-was-logged",
    "toml": "canary-in-toml",
    "argv": "canary-in-argv",
    "certificate-key": "c" * 64,
    "encryption": "canaryOfTheKeyForSecretsInEtcd+/abcdefghijk=",
}


def machine() -> FakeHost:
    """A control plane with a secret in every place where there could be one."""
    host = FakeHost()
    for name, directory in (("ca", ""), ("sa", ""), ("etcd", "etcd/")):
        _put(host, f"/etc/kubernetes/pki/{directory}{name}.key", KEY.format(LINES[name]))
    _put(host, "/var/lib/kubelet/pki/kubelet.key", KEY.format(LINES["kubelet"]))
    user = {"client-key-data": CANARIES["data"], "token": CANARIES["bearer"]}
    _put(host, "/etc/kubernetes/admin.conf", json.dumps({"users": [{"name": "a", "user": user}]}))
    _put(host, "/root/login.json", _login())
    keys = {"secretbox": {"keys": [{"name": "key1", "secret": CANARIES["encryption"]}]}}
    _put(host, "/etc/kubernetes/pki/encryption.yaml", json.dumps({"resources": [{"providers": [keys]}]}))
    config = {
        "registries": [{"credentialsFile": "/root/login.json", "password": CANARIES["registry"]}],
        "proxy": f"http://me:{CANARIES['proxy']}@proxy:3128",
        "apiServer": {
            "extraArgs": [{"name": "oidc-client-secret", "value": CANARIES["flag"]}],
            "extraEnvs": [{"name": "SOME_NAME", "value": CANARIES["env"]}],
        },
        "bootstrapTokens": [{"token": f"abcdef.{CANARIES['token']}"}],
        "networking": {"podSubnet": "10.244.0.0/16"},
    }
    _put(host, "/etc/kubeboot/cluster.yaml", json.dumps(config))
    container = {
        "command": ["kube-apiserver", f"--oidc-client-secret={CANARIES['flag']}", "--secure-port=6443"],
        "env": [{"name": "SOME_NAME", "value": CANARIES["env"]}],
    }
    _put(host, "/etc/kubernetes/manifests/kube-apiserver.yaml", json.dumps({"containers": [container]}))
    toml = f'version = 3\n[a.auth]\npassword = """\n{CANARIES["toml"]}"""\n'
    _put(host, "/etc/containerd/config.toml", toml)
    said = [f"{name} says {value} aloud" for name, value in CANARIES.items() if name in _SPOKEN]
    _put(host, "/var/log/pods/kube-system_etcd-cp-1_1/etcd/0.log", "\n".join([*said, "etcd is here"]))
    _put(host, "/var/lib/kubeboot/journal.jsonl", f'{{"run": "join --token abcdef.{CANARIES["token"]}"}}\n')
    host.journals["kubelet.service"] = [
        f'level=info password="{CANARIES["logged"]}" pull {LINES["ca"]}',
        f"fetch https://me:{CANARIES['proxy']}@registry/ --certificate-key {CANARIES['certificate-key']}",
        f"token abcdef.{CANARIES['token']}",
    ]
    host.process_table[7] = Process(7, "helper", "/", ("helper", CANARIES["argv"]))
    return host


_SPOKEN = (
    "encryption",
    *(f"key-{name}" for name in ("ca", "sa", "etcd", "kubelet")),
    "data",
    "bearer",
    "registry",
    "login",
)


def _login() -> str:
    auth = base64.b64encode(f"me:{CANARIES['login']}".encode()).decode()
    return json.dumps({"auths": {"registry": {"auth": auth}}})


def _put(host: FakeHost, path: str, text: str) -> None:
    host.write(path, text.encode(), 0o600)


def _api() -> FakeApi:
    meta = {"name": "e", "namespace": "kube-system"}
    return FakeApi({"apiVersion": "v1", "kind": "Event", "metadata": meta, "message": "pulled"})


def test_no_secret_of_the_machine_is_in_it(tmp_path: Path) -> None:
    packed = support.pack(machine(), _api(), AT, str(tmp_path / "s.tar.gz"))
    assert packed.problems == ()
    with tarfile.open(packed.path) as archive:
        found = {m.name: archive.extractfile(m).read().decode() for m in archive.getmembers()}  # type: ignore[union-attr]
    for name, canary in CANARIES.items():
        assert [part for part, text in found.items() if canary in text or canary in part] == [], name


def test_what_helps_is_in_it() -> None:
    host = machine()
    parts, problems = support.gather(host, _api(), AT)
    assert problems == []
    assert "--secure-port=6443" in parts["files/etc/kubernetes/manifests/kube-apiserver.yaml"]
    assert "10.244.0.0/16" in parts["files/etc/kubeboot/cluster.yaml"]
    assert "etcd is here" in parts["files/var/log/pods/kube-system_etcd-cp-1_1/etcd/0.log"]
    assert json.loads(parts["versions.json"])["kubeboot"]
    assert json.loads(parts["cluster/events.json"])[0]["message"] == "pulled"
    assert "/etc/kubernetes/pki/ca.key Stat(kind='file', mode=384" in parts["files/listing.txt"]
    assert {"units/kubelet.service.json", "runtime/images.json", "machine/facts.json"} <= parts.keys()


def test_a_source_that_fails_is_named_and_takes_nothing_from_the_others() -> None:
    host = machine()
    with mock.patch.object(host, "containers", side_effect=CommandFailed("ctr is not there")):
        parts, problems = support.gather(host, _api(), AT)
    assert problems == ["containers: ctr is not there"]
    assert "runtime/containers.json" not in parts
    assert "runtime/images.json" in parts


def test_without_an_api_there_is_the_machine() -> None:
    api = _api()
    api.unavailable = "connection refused"
    parts, problems = support.gather(machine(), api, AT)
    assert problems == []
    assert json.loads(parts["cluster/status.json"])["problem"] == "connection refused"
    assert "cluster/events.json" not in parts


def test_an_empty_machine_has_little_to_say_and_says_it() -> None:
    parts, problems = support.gather(FakeHost(), FakeApi(), AT)
    assert problems == []
    assert "machine/facts.json" in parts


def test_it_is_for_its_owner_and_never_over_another_file(tmp_path: Path) -> None:
    to = tmp_path / "s.tar.gz"
    support.pack(FakeHost(), FakeApi(), AT, str(to))
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    before = to.read_bytes()
    with pytest.raises(errors.UsageProblem, match="file exists"):
        support.pack(FakeHost(), FakeApi(), AT, str(to))
    assert to.read_bytes() == before


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(errors.UsageProblem):
        support.pack(FakeHost(), FakeApi(), AT, str(tmp_path / "link"))
    assert not (tmp_path / "target").exists()


def test_a_file_that_cannot_be_parsed_is_left_out_whole() -> None:
    host = FakeHost()
    host.files["/etc/kubeboot/broken.yaml"] = File(b"password: [canary\n\t}")
    parts, _ = support.gather(host, FakeApi(), AT)
    assert parts["files/etc/kubeboot/broken.yaml"].startswith("(left out")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("--tls-private-key-file=/etc/kubernetes/pki/apiserver.key", None),
        ("--service-account-issuer=https://kubernetes.default", None),
        ("authentication: {anonymous: {enabled: false}}", None),
        ("enableBootstrapToken: true, tokenTTL: 24h", "enableBootstrapToken: ***, tokenTTL: 24h"),
        ("http://me:pw@proxy:3128/x", "http://***@proxy:3128/x"),
        ("--token abcdef.0123456789abcdef x", "--token *** x"),
        ('{"password": "hunter2", "a": 1}', '{"password": "***", "a": 1}'),
        ("Authorization: Bearer abc123", "Authorization: *** ***"),
        ('level=info passwd="two words" rest', 'level=info passwd="***" rest'),
    ],
)
def test_text(line: str, wanted: str | None) -> None:
    assert redact.Cleaner(FakeHost()).text(line) == (line if wanted is None else wanted)


_plain: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.ascii_letters, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    _plain,
    st.sampled_from(["password", "registryPassword", "clientSecret", "auth", "access_key", "env"]),
    _plain,
)
def test_under_a_secret_name_no_text_survives(around: Any, name: str, value: Any) -> None:
    secret = "canary-of-hypothesis"
    cleaned = redact.structured({"around": around, name: [value, {"deep": secret}, secret]})
    assert secret not in json.dumps(cleaned)
    assert cleaned["around"] == around


def test_a_real_key_is_known_line_by_line() -> None:
    host = FakeHost()
    text = pem.encode_key(build.new_key()).decode()
    host.files["/etc/kubernetes/pki/ca.key"] = File(text.encode())
    said = redact.Cleaner(host).text("\n".join(f"somebody logged {line}" for line in text.splitlines()))
    assert not [line for line in text.splitlines()[1:-1] if line in said and len(line) > 20]


def test_the_command_prints_the_files_name_alone(tmp_path: Path) -> None:
    packed = support.Packed("out.tar.gz", ("a", "b"), ("containers: no",))
    with mock.patch.object(actions, "support", return_value=packed) as asked:
        ran = run("support", "-o", "out.tar.gz")
    asked.assert_called_once_with(orders.SupportOptions("out.tar.gz"))
    assert (ran.code, ran.out) == (0, "out.tar.gz\n")
    assert "left out: containers: no" in ran.err
    assert "2 parts" in ran.err
