"""An etcd that runs elsewhere: what is said of it, what API servers are told, and what plans leave out."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot import errors, render
from kubeboot.config import etcd_access, rules
from kubeboot.config.components import Argument, Etcd, ExternalEtcd
from kubeboot.config.etcd_access import Access, Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Plan
from kubeboot.engine.undo import RemovePath
from kubeboot.kube import configmaps
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import sealed
from kubeboot.plan import init, join_control_plane, remove, reset
from kubeboot.steps import control_plane, static_pod
from kubeboot.steps.etcd import external as external_etcd
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

ENDPOINTS = ("https://192.0.2.31:2379", "https://192.0.2.32:2379")
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
GIVEN = dict.fromkeys(sealed.shared(True), b"x")
NO_ETCD = ("etcd/", "pki/etcd-", "pki/apiserver-etcd-client")


def external(**fields: Any) -> ClusterSpec:
    return ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=ENDPOINTS, **fields)))


APART = external(ca_file="/srv/etcd/ca.crt", cert_file="/srv/etcd/c/a.crt", key_file="/root/a.key")


def command(spec: ClusterSpec) -> dict[str, str]:
    pod = control_plane.apiserver(spec, NODE, "i")
    return dict(word.removeprefix("--").partition("=")[::2] for word in pod.command)


def test_the_api_server_is_told_of_it() -> None:
    said = command(APART)
    assert said["etcd-servers"] == ",".join(ENDPOINTS)
    assert (said["etcd-cafile"], said["etcd-keyfile"]) == ("/srv/etcd/ca.crt", "/root/a.key")
    assert command(ClusterSpec())["etcd-servers"] == "https://127.0.0.1:2379"


def test_its_files_are_in_the_container_once_and_restart_it() -> None:
    pod = control_plane.apiserver(APART, NODE, "i")
    own = [v for v in pod.volumes if v.name.startswith("etcd-certs")]
    assert [(v.name, v.path, v.read_only) for v in own] == [
        ("etcd-certs-0", "/root", True),
        ("etcd-certs-1", "/srv/etcd", True),
    ]
    assert "/srv/etcd/ca.crt" in pod.inputs
    assert external_etcd.volumes(external()) == ()


@pytest.mark.parametrize("spec", [external(), APART], ids=["usual", "apart"])
def test_what_a_machine_uses_is_read_back_from_its_manifest(spec: ClusterSpec) -> None:
    host = FakeHost()
    host.files[f"{static_pod.MANIFESTS}/kube-apiserver.yaml"] = File(
        control_plane.apiserver(spec, NODE, "i").render("x").encode()
    )
    assert external_etcd.found(host) == spec.etcd.external


def test_an_etcd_beside_the_api_server_is_none_elsewhere() -> None:
    host = FakeHost()
    assert external_etcd.found(host) is None
    text = control_plane.apiserver(ClusterSpec(), NODE, "i").render("x")
    host.files[f"{static_pod.MANIFESTS}/kube-apiserver.yaml"] = File(text.encode())
    assert external_etcd.found(host) is None


def test_kubeadms_record_has_it_as_kubeadm_writes_it() -> None:
    found = configmaps.cluster_configuration(external(), "192.0.2.11:8443")["etcd"]
    assert found == {
        "external": {
            "endpoints": list(ENDPOINTS),
            "caFile": "/etc/kubernetes/pki/etcd/ca.crt",
            "certFile": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "keyFile": "/etc/kubernetes/pki/apiserver-etcd-client.key",
        }
    }


def ids(plan: Plan) -> set[str]:
    plans.edges(plan)
    return {step.id for step in plan.steps}


def test_init_makes_no_etcd_and_none_of_its_certificates() -> None:
    found = ids(init.plan(external(), NODE, FakeSource(), ()))
    assert not [step for step in found if step.startswith(NO_ETCD)]
    assert {"pki/ca", "pki/front-proxy-ca", "control-plane/ready", "cluster/kubeadm-config"} & found


def test_init_installs_what_was_handed_over() -> None:
    given = {name: name.encode() for name in sealed.EXTERNAL}
    plan = init.plan(APART, NODE, FakeSource(), (), given)
    assert "pki/external-etcd-key" in plans_before(plan, "control-plane/kube-apiserver")
    key = next(step for step in plan.steps if step.id == "pki/external-etcd-key")
    assert "external-etcd.key" not in repr(key) and key.mode == 0o600  # type: ignore[attr-defined]


def plans_before(plan: Plan, step: str) -> set[str]:
    edges = plans.edges(plan)
    return {name for _, name in edges[next(n for n in edges if n[1] == step)]}


def test_a_further_control_plane_joins_no_etcd() -> None:
    cluster = ClusterFacts(b"", external(), render.dump({"kind": "K"}), (("192.0.2.12", 6443),), "v1.37.1")
    found = ids(join_control_plane.plan(external(), NODE, FakeSource(), cluster, GIVEN))
    assert not [step for step in found if step.startswith(NO_ETCD)]
    assert {"pki/external-etcd-ca-crt", "pki/external-etcd-crt", "pki/external-etcd-key"} <= found


def test_a_control_plane_leaves_no_etcd_and_is_reset_all_the_same() -> None:
    leave = remove.steps("leave", remove.Going("cp-1", ("192.0.2.11",), "192.0.2.12", b"", stacked=False))
    assert [step.id for step in leave] == ["leave/endpoint", "leave/servers", "leave/node"]
    plan = reset.plan("cp-1", (("a/b", RemovePath("/etc/a")),), leave=leave)
    hard = plans.requirements(plan)
    assert not any(n[0] == "@cluster" for name, before in hard.items() if name[0] == "cp-1" for n in before)


def test_a_machine_that_is_removed_had_no_member() -> None:
    plan = remove.plan("cp-1", remove.Going("cp-2", (), "192.0.2.11", b"", stacked=False), 60.0)
    assert "remove/etcd" not in ids(plan)
    assert {"remove/drain"} <= plans_before(plan, "remove/node")


PROBLEMS: list[tuple[ClusterSpec, str, str]] = [
    (ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=()))), "endpoints", "names no member"),
    *(
        (ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(url,)))), "endpoints[0]", why)
        for url, why in (
            ("http://192.0.2.31:2379", "not an https URL"),
            ("192.0.2.31:2379", "is not"),
            ("https://192.0.2.31", "has no port"),
            ("https://192.0.2.31:2379/v3", "more than a host and a port"),
            ("https://0.0.0.0:2379", "cannot be reached"),
            ("https://u:p@192.0.2.31:2379", "is not a URL"),
        )
    ),
    (ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(ENDPOINTS[0],) * 2))), "endpoints[1]", "twice"),
    (external(key_file="a.key"), "keyFile", "absolute"),
    (external(ca_file="/etc/kubernetes/pki/ca.crt"), "caFile", "the cluster's own"),
    (
        ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=ENDPOINTS), data_dir="/data/etcd")),
        "dataDir",
        "there is etcd.external",
    ),
    (
        ClusterSpec(
            etcd=Etcd(external=ExternalEtcd(endpoints=ENDPOINTS), extra_args=(Argument(name="a", value="b"),))
        ),
        "extraArgs",
        "there is etcd.external",
    ),
]


@pytest.mark.parametrize(("spec", "field", "why"), PROBLEMS, ids=[f"{f}-{w}" for _, f, w in PROBLEMS])
def test_what_cannot_be_meant_is_refused(spec: ClusterSpec, field: str, why: str) -> None:
    [found] = [str(problem) for problem in rules.check(spec)]
    assert f"{field}: " in found and why in found


def test_a_good_one_is_not() -> None:
    assert rules.check(APART) == rules.check(external()) == []


ACCESS = Access(ENDPOINTS, b"CA\n", b"CRT\n", b"KEY\n")
INVITATION = Invitation(ENDPOINTS, b"CA\n", b"KEY\n", ClusterSpec(etcd=Etcd(data_dir="/data/etcd")))


def test_what_is_handed_out_is_read_again_and_never_shown() -> None:
    assert etcd_access.access(etcd_access.encode(ACCESS), "f") == ACCESS
    assert etcd_access.invitation(etcd_access.encode(INVITATION), "f") == INVITATION
    assert "KEY" not in repr(ACCESS) + repr(INVITATION)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"a: [", b"[]", b"kind: EtcdAccess\n", etcd_access.encode(INVITATION),
     etcd_access.encode(ACCESS).replace(b"key:", b"kay:"),
     etcd_access.encode(ACCESS).replace(b"endpoints:", b"x:")],
)  # fmt: skip
def test_another_file_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(errors.ConfigInvalid) as raised:
        etcd_access.access(data, "f")
    assert raised.value.reason == "KB_ETCD_FILE" and "etcd export" in str(raised.value.hint)


def test_a_machine_that_is_invited_keeps_what_is_its_own() -> None:
    here = ClusterSpec(cluster_name="x", single=True)
    assert etcd_access.joined(here, INVITATION.spec).etcd.data_dir == "/data/etcd"
