"""The checks of `kubeboot doctor`: a cluster in memory that is well, and one illness at a time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.fleet import doctor
from kubeboot.fleet.doctor import Diagnosis, checkup
from kubeboot.fleet.doctor import balancer as checkup_balancer
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus
from kubeboot.kube.api import ApiRefused
from kubeboot.steps import haproxy
from kubeboot.steps.preflight import Finding
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.sim.doctor_support import a_node, a_pod, api_of, found, host_of, well
from tests.unit.cli_support import run

OTHER = b"IP\n10.244.1.0 0x1 0x6 02:00:00:00:00:99 * flannel.1\n"
OLD = a_pod("b", "cp-2", "192.0.2.12", "component", "kube-apiserver", "a:v1.35.0")


def test_a_cluster_that_is_well_has_no_finding() -> None:
    assert found(well()) == []


def _status(**changes: Any) -> Callable[[Patient], Patient]:
    return lambda p: dataclasses.replace(p, status=dataclasses.replace(p.status, **changes))


def _do(act: Callable[[Patient], object]) -> Callable[[Patient], Patient]:
    return lambda p: (act(p), p)[1]


ILL: tuple[tuple[str, Callable[[Patient], Patient]], ...] = (
    ("error:Unit-kubelet", _do(lambda p: host_of(p).stop("kubelet.service"))),
    ("error:Unit-containerd", _do(lambda p: host_of(p).stop("containerd.service"))),
    (
        "warning:Certificate-etc-kubernetes-pki-apiserver.crt",
        _status(certificates=(CertificateStatus("/etc/kubernetes/pki/apiserver.crt", 30),)),
    ),
    (
        "error:Certificate-etc-kubernetes-pki-apiserver.crt",
        _status(certificates=(CertificateStatus("/etc/kubernetes/pki/apiserver.crt", -1),)),
    ),
    (
        "error:Certificate-etc-kubernetes-pki-ca.crt",
        _status(certificates=(CertificateStatus("/etc/kubernetes/pki/ca.crt", None, authority=True),)),
    ),
    ("error:NodeReady-worker-1", _do(lambda p: api_of(p).put(a_node("worker-1", 1, Ready="Unknown")))),
    ("error:DiskPressure-worker-1", _do(lambda p: api_of(p).put(a_node("worker-1", 1, DiskPressure="True")))),
    ("error:Pod-dns", _status(pods=(PodStatus("kube-system", "dns", "cp-1", False, 0, "CrashLoopBackOff"),))),
    ("warning:Restarts-dns", _status(pods=(PodStatus("kube-system", "dns", "cp-1", True, 12, "Running"),))),
    ("error:Flannel", _do(lambda p: host_of(p).delete_link("flannel.1"))),
    ("error:Route-worker-1", _do(lambda p: host_of(p).write("/proc/net/route", b"Iface\n"))),
    ("error:Neighbour-worker-1", _do(lambda p: host_of(p).write("/proc/net/arp", OTHER))),
    ("error:PodUnreachable-worker-1", _do(lambda p: host_of(p).dialers.pop(("10.244.1.7", 53)))),
    ("error:LoadBalancer", _do(lambda p: host_of(p).dialers.pop(("127.0.0.1", 8444)))),
    (
        "error:Backend-cp-2",
        _do(lambda p: host_of(p).write(haproxy.CONFIG, b"    server cp-2 127.0.0.1:1 check\n")),
    ),
    (
        "error:VersionSkew-w",
        _status(nodes=(NodeStatus("w", "worker", True, "v1.33.1", "192.0.2.12", ""),)),
    ),
    (
        "error:VersionSkew-apiserver",
        lambda p: _status(nodes=())(_do(lambda p: api_of(p).put(OLD))(p)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("name", "fall_ill"), ILL, ids=[name for name, _ in ILL])
def test_an_illness_is_found_and_nothing_else(name: str, fall_ill: Callable[[Patient], Patient]) -> None:
    patient = fall_ill(well())
    host_of(patient).changes.clear()
    assert found(patient) == [name]
    assert host_of(patient).changes == [] and api_of(patient).changes == [], "looking changes nothing"


def test_an_api_that_is_silent_is_one_finding() -> None:
    patient = _status(problem="connection refused", nodes=(), pods=())(well())
    api_of(patient).unavailable = "connection refused"
    assert found(patient) == ["error:API"]
    assert doctor._safely(checkup.names, patient)[0].name == "DNS"


def test_a_check_that_cannot_be_made_says_so() -> None:
    def broken(patient: Patient) -> tuple[Finding, ...]:
        raise errors.KubebootError("no way")

    (finding,) = doctor._safely(broken, well())
    assert finding.name == "Check-broken" and "no way" in finding.message
    assert doctor._safely(broken, _status(problem="gone")(well())) == ()


def test_a_name_server_that_does_not_answer_is_found_with_its_pods() -> None:
    (finding,) = checkup.names(well())
    assert finding.name == "DNS" and "coredns-1" in finding.message


def _etcd(status: dict[str, Any], alarms: tuple[str, ...] = (), members: tuple[Any, ...] = ()) -> list[str]:
    answers: Mapping[str, Mapping[str, Any]] = {
        "/v3/maintenance/status": {"leader": "7", "dbSize": "20480", **status},
        "/v3/maintenance/alarm": {"alarms": [{"alarm": alarm} for alarm in alarms]},
        "/v3/cluster/member/list": {"members": list(members)},
    }
    return [f"{f.level}:{f.name}" for f in checkup_etcd.of_member(lambda path, data: answers[path])]


class _Node(FakeApi):
    """As the API is to a kubelet: it lists nothing, and reads its own Node."""

    def list(self, *asked: Any) -> Any:
        raise ApiRefused("forbidden", status=403)


def test_a_worker_is_examined_with_what_its_own_certificate_may_read() -> None:
    own = _Node(a_node("worker-1", 1))
    patient = dataclasses.replace(well(), name="worker-1", api=own, control_plane=False)
    assert found(patient) == []
    own.put(a_node("worker-1", 1, Ready="False"))
    host_of(patient).write("/proc/net/arp", b"IP\n")
    assert found(patient) == ["error:NodeReady-worker-1", "error:Overlay-10.244.1.0"]


def test_a_virtual_address_at_which_nobody_answers() -> None:
    balancer = LoadBalancer(virtual_ip=VirtualIp(address="127.0.0.1"), port=1)
    patient = dataclasses.replace(well(), spec=ClusterSpec(load_balancer=balancer))
    assert found(patient, (checkup_balancer.virtual_address,)) == ["error:VirtualIP"]


def test_etcds_own_words_are_understood() -> None:
    gib = 1 << 30
    assert _etcd({}, members=({"name": "cp-1"},)) == []
    assert _etcd({"leader": "0"}) == ["error:EtcdLeader"]
    assert _etcd({"dbSize": str(int(1.5 * gib))}) == ["warning:EtcdSize"]
    assert _etcd({"dbSize": str(int(1.95 * gib))}) == ["error:EtcdSize"]
    assert _etcd({"dbSize": str(int(1.95 * gib)), "dbSizeQuota": str(8 * gib)}) == []
    assert _etcd({}, alarms=("NOSPACE",)) == ["error:EtcdAlarm-NOSPACE"]
    assert _etcd({}, members=({"name": "cp-2", "isLearner": True},)) == ["warning:EtcdLearner"]
    assert _etcd({}, members=({"peerURLs": ["https://192.0.2.12:2380"]},)) == ["warning:EtcdLearner"]


def test_etcd_without_its_certificate_or_process_is_a_finding_and_a_worker_has_none() -> None:
    assert found(well(), (checkup_etcd.etcd,)) == ["error:Etcd"]
    assert found(dataclasses.replace(well(), control_plane=False), (checkup_etcd.etcd,)) == []


@pytest.mark.parametrize(
    ("levels", "code", "verdict"),
    [
        ((), 0, "nothing to fix, nothing to note"),
        (("warning",), 0, "nothing to fix, 1 to note"),
        (("error", "warning"), 1, "1 to fix, 1 to note"),
    ],
)
def test_the_command_tells_and_its_exit_code_is_for_monitoring(
    levels: tuple[Any, ...], code: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = tuple(
        Finding(f"N{n}", "something is wrong", "mend it", level, "cp-1") for n, level in enumerate(levels)
    )
    monkeypatch.setattr(doctor, "examine", lambda spec, kubeconfig: Diagnosis(findings, 86))
    ran = run("doctor")
    assert (ran.code, ran.out.splitlines()[-1]) == (code, f"86 checks: {verdict}")
    assert ran.out.count("fix: mend it") == len(levels)
    answer = json.loads(run("doctor", "-o", "json").out)
    assert (answer["kind"], answer["healthy"], answer["checks"]) == ("Diagnosis", code == 0, 86)
    assert answer["apiVersion"].startswith("kubeboot.io/")
    assert [f["level"] for f in answer["findings"]] == list(levels)


def test_a_machine_without_a_cluster_is_told_what_to_run() -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        doctor._api(FakeHost(), "/etc/kubernetes/admin.conf")
    assert "kubeboot preflight" in (caught.value.hint or "")
