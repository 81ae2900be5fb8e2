"""The checks of `kubeboot doctor`: a cluster in memory that is well, and one illness at a time."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.components import ApiServer
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.fleet import doctor
from kubeboot.fleet.doctor import Diagnosis, checkup, signing
from kubeboot.fleet.doctor import balancer as checkup_balancer
from kubeboot.fleet.doctor import encryption as checkup_encryption
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor import overlay as checkup_overlay
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus, Status
from kubeboot.host.model import Link
from kubeboot.kube import client
from kubeboot.kube.api import ApiError, ApiRefused
from kubeboot.kube.http import Response
from kubeboot.pki import kubeconfig
from kubeboot.steps import haproxy
from kubeboot.steps.preflight import Finding
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.unit.cli_support import run

MAC = "b2:ef:99:a8:20:8f"
WELL = Status(
    nodes=(NodeStatus("cp-1", "control-plane", True, "v1.37.1", "192.0.2.11", "containerd://2.3.7"),),
    pods=(PodStatus("kube-system", "etcd-cp-1", "cp-1", True, 0, "Running"),),
    certificates=(CertificateStatus("/etc/kubernetes/pki/apiserver.crt", 364),),
)


class _Socket:
    def close(self) -> None: ...


def _node(name: str, number: int, **conditions: str) -> dict[str, Any]:
    said = {"Ready": "True", "DiskPressure": "False", **conditions}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "annotations": {checkup_overlay.VTEP: json.dumps({"VtepMAC": MAC})}},
        "spec": {"podCIDR": f"10.244.{number}.0/24"},
        "status": {"conditions": [{"type": t, "status": s, "message": "why"} for t, s in said.items()]},
    }  # fmt: skip


def _pod(name: str, node: str, ip: str, label: str, value: str, image: str = "x:v1") -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {label: value}},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": image}]},
        "status": {"podIP": ip},
    }  # fmt: skip


def well() -> Patient:
    """A control plane and a worker, of which everything is as it should be."""
    host = FakeHost()
    for unit in checkup.UNITS:
        host.write(f"/etc/systemd/system/{unit}", b"[Service]\n")
        host.daemon_reload()
        host.start(unit)
    host.link_table["flannel.1"] = Link("flannel.1", "vxlan")
    host.write(
        "/proc/net/route", b"Iface\tDestination\nflannel.1\t0001F40A\t0001F40A\t0003\t0\t0\t0\t00FFFFFF\n"
    )
    host.write(
        "/proc/net/arp",
        f"IP address HW type Flags HW address Mask Device\n10.244.1.0 0x1 0x6 {MAC} * flannel.1\n".encode(),
    )
    host.dialers["127.0.0.1", 8444] = _Socket  # type: ignore[assignment]
    host.dialers["10.244.1.7", 53] = _Socket  # type: ignore[assignment]
    api = FakeApi(
        _node("cp-1", 0),
        _node("worker-1", 1),
        _pod("coredns-1", "worker-1", "10.244.1.7", "k8s-app", "kube-dns"),
        _pod(
            "kube-apiserver-cp-1",
            "cp-1",
            "192.0.2.11",
            "component",
            "kube-apiserver",
            "r/kube-apiserver:v1.37.1",
        ),
    )
    return Patient("cp-1", "192.0.2.11", ClusterSpec(), host, api, WELL)


OTHER = b"IP\n10.244.1.0 0x1 0x6 02:00:00:00:00:99 * flannel.1\n"
OLD = _pod("b", "cp-2", "192.0.2.12", "component", "kube-apiserver", "a:v1.35.0")
QUIET = tuple(check for check in checkup.CHECKS if check not in (checkup.names, checkup_etcd.etcd))


def found(patient: Patient, checks: tuple[Callable[..., Any], ...] = QUIET) -> list[str]:
    return [f"{f.level}:{f.name}" for check in checks for f in check(patient)]


def test_a_cluster_that_is_well_has_no_finding() -> None:
    assert found(well()) == []


def _host(patient: Patient) -> FakeHost:
    assert isinstance(patient.see, FakeHost)
    return patient.see


def _api(patient: Patient) -> FakeApi:
    assert isinstance(patient.api, FakeApi)
    return patient.api


def _status(**changes: Any) -> Callable[[Patient], Patient]:
    return lambda p: dataclasses.replace(p, status=dataclasses.replace(p.status, **changes))


def _do(act: Callable[[Patient], object]) -> Callable[[Patient], Patient]:
    return lambda p: (act(p), p)[1]


ILL: tuple[tuple[str, Callable[[Patient], Patient]], ...] = (
    ("error:Unit-kubelet", _do(lambda p: _host(p).stop("kubelet.service"))),
    ("error:Unit-containerd", _do(lambda p: _host(p).stop("containerd.service"))),
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
    ("error:NodeReady-worker-1", _do(lambda p: _api(p).put(_node("worker-1", 1, Ready="Unknown")))),
    ("error:DiskPressure-worker-1", _do(lambda p: _api(p).put(_node("worker-1", 1, DiskPressure="True")))),
    ("error:Pod-dns", _status(pods=(PodStatus("kube-system", "dns", "cp-1", False, 0, "CrashLoopBackOff"),))),
    ("warning:Restarts-dns", _status(pods=(PodStatus("kube-system", "dns", "cp-1", True, 12, "Running"),))),
    ("error:Flannel", _do(lambda p: _host(p).delete_link("flannel.1"))),
    ("error:Route-worker-1", _do(lambda p: _host(p).write("/proc/net/route", b"Iface\n"))),
    ("error:Neighbour-worker-1", _do(lambda p: _host(p).write("/proc/net/arp", OTHER))),
    ("error:PodUnreachable-worker-1", _do(lambda p: _host(p).dialers.pop(("10.244.1.7", 53)))),
    ("error:LoadBalancer", _do(lambda p: _host(p).dialers.pop(("127.0.0.1", 8444)))),
    (
        "error:Backend-cp-2",
        _do(lambda p: _host(p).write(haproxy.CONFIG, b"    server cp-2 127.0.0.1:1 check\n")),
    ),
    (
        "error:VersionSkew-w",
        _status(nodes=(NodeStatus("w", "worker", True, "v1.33.1", "192.0.2.12", ""),)),
    ),
    (
        "error:VersionSkew-apiserver",
        lambda p: _status(nodes=())(_do(lambda p: _api(p).put(OLD))(p)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("name", "fall_ill"), ILL, ids=[name for name, _ in ILL])
def test_an_illness_is_found_and_nothing_else(name: str, fall_ill: Callable[[Patient], Patient]) -> None:
    patient = fall_ill(well())
    _host(patient).changes.clear()
    assert found(patient) == [name]
    assert _host(patient).changes == [] and _api(patient).changes == [], "looking changes nothing"


def test_an_api_that_is_silent_is_one_finding() -> None:
    patient = _status(problem="connection refused", nodes=(), pods=())(well())
    _api(patient).unavailable = "connection refused"
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
    own = _Node(_node("worker-1", 1))
    patient = dataclasses.replace(well(), name="worker-1", api=own, control_plane=False)
    assert found(patient) == []
    own.put(_node("worker-1", 1, Ready="False"))
    _host(patient).write("/proc/net/arp", b"IP\n")
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


def _stored(*values: bytes) -> Callable[[str, Any], dict[str, Any]]:
    """etcd's answers: Secrets s0, s1 … with these values, the last ones with their order turned round."""

    def ask(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert (path, base64.b64decode(body["range_end"])) == ("/v3/kv/range", b"/registry/secrets0")
        rows = [
            {"key": base64.b64encode(b"/registry/secrets/a/s%d" % n), "value": base64.b64encode(value)}
            for n, value in enumerate(values)
        ]
        found = rows if body["sort_order"] == "ASCEND" else rows[::-1]
        return {"kvs": found[: body["limit"]]}

    return ask


def test_a_secret_in_clear_is_found_among_the_oldest_and_the_newest() -> None:
    sealed, clear = b"k8s:enc:secretbox:v1:key1:x", b"k8s\x00\n\x0c"
    assert list(checkup_encryption.in_clear(_stored(*[sealed] * 200))) == []
    for values in ([clear, *[sealed] * 199], [*[sealed] * 199, clear]):
        [said] = checkup_encryption.in_clear(_stored(*values))
        assert (said.name, said.level) == ("SecretsInClear", "error") and "a/s" in said.message
    [said] = checkup_encryption.in_clear(_stored(*[clear] * 9))
    assert said.message.endswith("a/s0, a/s1, a/s2 and more")


def encrypted() -> Patient:
    """A control plane that knows two API servers, and has encrypted Secrets."""
    patient = dataclasses.replace(well(), spec=ClusterSpec(api_server=ApiServer(encrypt_secrets=True)))
    own = kubeconfig.Kubeconfig("k", "https://192.0.2.11:6443", tls.authority().certificate, token="t")
    _host(patient).write(ADMIN_CONF, kubeconfig.encode(own))
    lines = "".join(f"    server {a} {a}\n" for a in ("192.0.2.11:6443", "192.0.2.12:6443"))
    _host(patient).write(haproxy.CONFIG, lines.encode())
    return patient


def test_an_api_server_that_cannot_read_secrets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(self: client.Client, *what: object) -> None:
        if "192.0.2.12" in self.server:
            raise ApiError("unable to transform key: no matching prefix found", status=500)

    monkeypatch.setattr(client.Client, "version", lambda self: "v1.37.1")
    monkeypatch.setattr(client.Client, "list", listed)
    [said] = checkup_encryption.encryption(encrypted())
    assert said.name == "Encryption-192.0.2.12:6443" and "no matching prefix" in said.message
    assert list(checkup_encryption.encryption(well())) == []
    assert list(checkup_encryption.encryption(dataclasses.replace(encrypted(), control_plane=False))) == []


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ((("a",), ("a",)), []),
        ((("a", "b"), ("b",)), []),
        ((("a",), ("b",)), ["ServiceAccountKeys-192.0.2.12:6443"]),
        ((("a",), None), []),
    ],
)
def test_an_api_server_with_another_key_for_service_accounts_is_named(
    keys: tuple[tuple[str, ...] | None, ...], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: client.Client, method: str, path: str) -> Response:
        assert (method, path) == ("GET", "/openid/v1/jwks")
        found = keys["192.0.2.12" in self.server]
        return Response(200, json.dumps({"keys": [{"kid": kid} for kid in found or ()]}).encode())

    def ready(self: client.Client) -> str | None:
        return "connection refused" if keys["192.0.2.12" in self.server] is None else None

    monkeypatch.setattr(client.Client, "_ask", ask)
    monkeypatch.setattr(client.Client, "ready", ready)
    assert [finding.name for finding in signing.signing(encrypted())] == names
    assert list(signing.signing(dataclasses.replace(encrypted(), control_plane=False))) == []


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
