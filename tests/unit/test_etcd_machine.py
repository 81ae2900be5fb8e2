"""etcd on machines of its own: what such a machine has and has not, and what it hands out."""

from __future__ import annotations

import pathlib
import stat
from unittest import mock

import pytest

from kubeboot import errors, render
from kubeboot.config import etcd_access
from kubeboot.config.components import Argument, Etcd
from kubeboot.config.etcd_access import Access, Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Plan
from kubeboot.fleet import leaving
from kubeboot.fleet.doctor import etcd_machine as doctor_etcd
from kubeboot.fleet.etcd import machine as etcd_machine
from kubeboot.fleet.orders_etcd import EtcdMachineResult
from kubeboot.pki import build, inspect, pem, table
from kubeboot.plan import etcd_machine as planning
from kubeboot.steps.etcd import machine as steps
from kubeboot.steps.kubelet import standalone
from kubeboot.steps.leaving import LeaveEtcd
from tests.fakes import tls
from tests.fakes.entries import File
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource
from tests.unit.cli_support import run

NODE = NodeSettings("etcd-2", "192.0.2.12", "etcd")
SPEC = ClusterSpec(
    etcd=Etcd(data_dir="/data/etcd", extra_args=(Argument(name="quota-backend-bytes", value="1"),))
)
CA = tls.authority("etcd-ca")
INVITED = Invitation(("https://192.0.2.11:2379",), CA.certificate, CA.key, SPEC)


def ids(plan: Plan) -> set[str]:
    plans.edges(plan)
    return {step.id for step in plan.steps}


def before(plan: Plan, step: str) -> set[str]:
    edges = plans.edges(plan)
    found: set[plans.Node] = set()
    ahead = [n for n in edges if n[1] == step]
    while ahead:
        new = edges[ahead.pop()] - found
        found |= new
        ahead += new
    return {name for _, name in found}


FIRST = planning.plan(SPEC, NODE, FakeSource())
JOINING = planning.plan(SPEC, NODE, FakeSource(), INVITED)


@pytest.mark.parametrize("plan", [FIRST, JOINING], ids=["first", "joining"])
def test_it_has_etcd_and_nothing_of_a_node(plan: Plan) -> None:
    found = ids(plan)
    assert {"pki/etcd-ca", "pki/etcd-server", "pki/etcd-peer", "etcd/manifest", "etcd/ready"} <= found
    rooms = {step.split("/")[0] for step in found}
    assert not rooms & {"kubeconfig", "control-plane", "load-balancer", "network", "cluster", "node"}
    assert not found & {"pki/ca", "pki/apiserver-etcd-client", "kubelet/kubectl"}
    assert {step for step in found if step.startswith("images/")} == {
        "images/look",
        "images/pause",
        "images/etcd",
    }


def test_the_others_are_told_when_little_can_go_wrong() -> None:
    told = before(JOINING, "etcd/learner")
    assert {"images/etcd", "runtime/service", "pki/etcd-peer", "kubelet/binary", "etcd/description"} <= told
    assert "kubelet/service" not in told
    assert {"kubelet/service", "etcd/learner"} <= before(JOINING, "etcd/promoted")


def test_its_kubelet_belongs_to_nobody() -> None:
    found = standalone.config(NODE)
    assert found["authentication"] == {"anonymous": {"enabled": False}, "webhook": {"enabled": False}}
    assert not found["enableServer"] and found["staticPodPath"] == "/etc/kubernetes/manifests"
    assert "kubeconfig" not in standalone.drop_in(NODE, FakeSource().catalog())


def a_machine(**command: str) -> FakeHost:
    host = FakeHost("etcd-2")
    host.files[steps.DESCRIPTION] = File(render.dump(etcd_access.shared(SPEC)).encode())
    host.files["/etc/kubernetes/pki/etcd/ca.crt"] = File(CA.certificate)
    host.files["/etc/kubernetes/pki/etcd/ca.key"] = File(CA.key)
    words = ["etcd", *(f"--{name.replace('_', '-')}={value}" for name, value in command.items())]
    manifest = {"spec": {"containers": [{"command": words}]}}
    host.files["/etc/kubernetes/manifests/etcd.yaml"] = File(render.dump(manifest).encode())
    return host


def test_what_its_machines_have_alike_is_written_down_and_read_again() -> None:
    found = steps.described(a_machine())
    assert found is not None and found.etcd == SPEC.etcd
    assert steps.described(FakeHost()) is None and not doctor_etcd.is_one(FakeHost())


def test_where_the_others_were_is_known_without_etcd() -> None:
    cluster = "etcd-1=https://192.0.2.11:2380,etcd-2=https://192.0.2.12:2380"
    assert steps.neighbours(a_machine(initial_cluster=cluster)) == ("192.0.2.11", "192.0.2.12")
    assert steps.neighbours(FakeHost()) == ()


@pytest.fixture
def etcd() -> FakeEtcd:
    found = FakeEtcd(member(1), member(2), member(3, learner=True))
    with mock.patch.object(etcd_machine, "members", lambda *_: found):
        yield found


def test_control_planes_get_a_certificate_of_their_own_and_not_the_authority(etcd: FakeEtcd) -> None:
    found = etcd_machine.export(a_machine(), to_members=False)
    assert isinstance(found, Access)
    assert found.endpoints == ("https://192.0.2.11:2379", "https://192.0.2.12:2379")
    assert inspect.client_problems(found.certificate, found.key, at=build.now()) == ()
    assert inspect.is_issued(found.certificate, CA.certificate)
    [made] = pem.certificates(found.certificate)
    assert "kube-apiserver-etcd-client" in made.subject.rfc4514_string()
    assert CA.key not in etcd_access.encode(found)


def test_members_get_the_authority_and_what_they_have_alike(etcd: FakeEtcd) -> None:
    found = etcd_machine.export(a_machine(), to_members=True)
    assert isinstance(found, Invitation)
    assert (found.authority, found.key, found.spec.etcd) == (CA.certificate, CA.key, SPEC.etcd)


def test_another_machine_hands_out_nothing() -> None:
    with pytest.raises(errors.PreflightFailed) as raised:
        etcd_machine.export(FakeHost(), to_members=True)
    assert raised.value.reason == "KB_NO_ETCD_MACHINE"


def test_it_leaves_etcd_before_it_is_reset() -> None:
    host = a_machine(initial_cluster="etcd-1=https://192.0.2.11:2380")
    host.write("/data/etcd/member/wal", b"")
    found = leaving.find(host)
    assert [step.id for step in found.steps] == ["leave/etcd"]
    assert isinstance(found.steps[0], LeaveEtcd) and not found.steps[0].member


def test_before_etcd_has_begun_there_is_nothing_to_leave() -> None:
    assert leaving.find(a_machine()).steps == ()


def test_a_joined_machine_keeps_its_certificates_names() -> None:
    step = next(step for step in JOINING.steps if step.id == "pki/etcd-server")
    assert set(step.profile.names) >= {"etcd-2", "192.0.2.12", "localhost"}  # type: ignore[attr-defined]
    assert step.profile.usages == table.BOTH  # type: ignore[attr-defined]


def test_the_file_is_for_its_owner_alone(tmp_path: pathlib.Path, etcd: FakeEtcd) -> None:
    path = tmp_path / "etcd.join"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with mock.patch("kubeboot.host.local.LocalView", a_machine):
        ran = run("etcd", "export", "--for", "members", str(path))
    assert ran.code == 0 and "PRIVATE" not in ran.out + ran.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and list(tmp_path.iterdir()) == [path]
    assert etcd_access.invitation(path.read_bytes(), "f").key == CA.key


def test_a_machine_joins_by_a_file_and_by_nothing_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(etcd_access.encode(Access(("https://a:2379",), b"a", b"b", b"c")))
    ran = run("etcd", "join", str(path))
    assert (ran.code, "--for members" in ran.err) == (4, True), ran.err
    assert run("etcd", "join", str(tmp_path / "none")).code == 2


def test_what_comes_next_is_said(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(etcd_access.encode(INVITED))
    done = EtcdMachineResult(3, 40, 1.0, "etcd-2", 3)
    with mock.patch("kubeboot.cli.actions_etcd.machine", return_value=done) as asked:
        ran = run("etcd", "join", str(path), "--node-name", "etcd-2")
        data = run("etcd", "init", "-o", "json").out
    assert "3 members" in ran.err and "--external-etcd etcd.access" in ran.err
    assert asked.call_args_list[0].args[0].invited == INVITED
    assert asked.call_args_list[1].args[0].invited is None and '"etcdMembers": 3' in data


def test_a_machine_of_etcds_own_uses_no_other_etcd(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\netcd: {external: {endpoints: ['https://a:2379']}}\n"
    )
    assert "to run etcd itself" in run("etcd", "init", "--config", str(path)).err
