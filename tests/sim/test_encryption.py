"""Secrets encrypted in etcd: one key for all control planes, made once and never lost sight of."""

from __future__ import annotations

import base64
import datetime

import pytest

from kubeboot import errors, render
from kubeboot.config import rules
from kubeboot.config.components import ApiServer, Argument
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Target
from kubeboot.engine.values import Values
from kubeboot.fleet import shared
from kubeboot.kube import configmaps, uploads
from kubeboot.kube.api import NoApi
from kubeboot.pki import sealed
from kubeboot.steps import control_plane, encryption
from kubeboot.steps.encryption import PATH
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
SPEC = ClusterSpec(api_server=ApiServer(encrypt_secrets=True))
[MAKE] = encryption.steps(SPEC, NODE)
GIVEN = encryption.configuration()
[INSTALL] = encryption.steps(SPEC, NODE, {sealed.ENCRYPTION: GIVEN})
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"


def on(host: FakeHost) -> Target:
    return Target(host, NoApi())


@pytest.mark.parametrize("step", [MAKE, INSTALL], ids=["make", "install"])
def test_the_file_is_made_for_root_alone_and_taken_back(step: encryption.EnsureEncryption) -> None:
    converges(step, FakeHost())


def test_a_new_key_is_used_for_secrets_and_what_was_there_before_is_read() -> None:
    [entry] = render.load(encryption.configuration())["resources"]
    first, last = entry["providers"]
    [key] = first["secretbox"]["keys"]
    assert entry["resources"] == ["secrets"] and last == {"identity": {}}
    assert len(base64.b64decode(key["secret"])) == 32
    assert encryption.configuration() != encryption.configuration()


def test_a_key_is_never_replaced() -> None:
    host = FakeHost()
    host.write(PATH, GIVEN, 0o600)
    MAKE.apply(on(host), Values())
    assert host.read(PATH) == GIVEN
    found = encryption.steps(SPEC, NODE, {sealed.ENCRYPTION: encryption.configuration()})[0]
    said = found.check(on(host).see, Values())
    assert isinstance(said, Blocked) and said.reason == "KB_OTHER_CLUSTER"


def test_a_cluster_that_has_lost_its_key_gets_no_other() -> None:
    host = FakeHost()
    host.write(API_SERVER, b"{}")
    said = MAKE.check(on(host).see, Values())
    assert isinstance(said, Blocked) and "another control plane" in str(said.hint)


def test_init_does_not_take_the_key_from_an_api_server_that_has_one() -> None:
    host = FakeHost()
    encryption.require_kept(host, ClusterSpec())
    host.write(API_SERVER, control_plane.apiserver(SPEC, NODE, "kube-apiserver:1").render("").encode())
    own = Argument(name="encryption-provider-config", value="/etc/kubernetes/own.yaml")
    for fine in (SPEC, ClusterSpec(api_server=ApiServer(extra_args=(own,)))):
        encryption.require_kept(host, fine)
    with pytest.raises(errors.ConfigInvalid) as raised:
        encryption.require_kept(host, ClusterSpec())
    assert raised.value.reason == "KB_IMMUTABLE"


def test_the_api_server_reads_it_and_is_started_anew_for_another() -> None:
    pod = control_plane.apiserver(SPEC, NODE, "kube-apiserver:1")
    assert f"--encryption-provider-config={PATH}" in pod.command and PATH in pod.inputs
    plain = control_plane.apiserver(ClusterSpec(), NODE, "kube-apiserver:1")
    assert not any("encryption" in word for word in plain.command) and PATH not in plain.inputs
    said = configmaps.cluster_configuration(SPEC, "192.0.2.11:8443")["apiServer"]["extraArgs"]
    assert {"name": "encryption-provider-config", "value": PATH} in said


def test_it_goes_to_further_control_planes_with_what_they_share() -> None:
    host, api, key = FakeHost(), FakeApi(), sealed.new_key()
    for name in sealed.shared(False):
        host.write(f"/etc/kubernetes/pki/{name}", name.encode())
    plain = shared.on_disk(host)
    host.write(PATH, GIVEN, 0o600)
    for given in (plain, shared.on_disk(host)):
        assert shared.is_complete(given, None)
        uploads.upload(api, given, key, lambda: datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC))
        assert uploads.download(api, key) == given
    shared.upload(api, host, key)
    assert uploads.download(api, key)[sealed.ENCRYPTION] == GIVEN


def test_a_control_plane_that_would_not_read_the_others_secrets_does_not_join() -> None:
    with pytest.raises(errors.KubebootError) as raised:
        encryption.steps(SPEC, NODE, {"ca.crt": b"x"})
    assert raised.value.reason == "KB_NO_CERTIFICATES"
    assert encryption.steps(ClusterSpec(), NODE, {"ca.crt": b"x"}) == ()


def test_two_ways_to_say_it_are_one_too_many() -> None:
    argument = Argument(name="encryption-provider-config", value="/x")
    both = ClusterSpec(api_server=ApiServer(encrypt_secrets=True, extra_args=(argument,)))
    assert [p for p in rules.check(both) if "encryptSecrets" in p.message]
