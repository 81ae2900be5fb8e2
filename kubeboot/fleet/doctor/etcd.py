"""What can be wrong with this machine's member of etcd."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot import errors
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.kube.etcd import CLIENT_PORT
from kubeboot.kube.http import Session
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import endpoint, table
from kubeboot.steps.etcd import METRICS_PORT, loopback
from kubeboot.steps.preflight import Finding

QUOTA = 2 << 30
FULL, TOO_FULL = 0.7, 0.9
_ETCD = f"{table.DIRECTORY}/etcd"

Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Puts a question, a path and a body, to one member; its answer."""


def etcd(patient: Patient) -> Iterable[Finding]:
    """This machine's member: alarms, size, leader, and that all members are voters.

    Of an etcd elsewhere preflight looks at all members.
    """
    if not patient.control_plane or patient.spec.etcd.external is not None:
        return
    try:
        yield from of_member(member(patient))
    except errors.KubebootError as error:
        yield Finding(
            "Etcd",
            f"this machine's etcd does not answer: {error.message}",
            f"see /var/log/pods/kube-system_etcd-*; curl http://{loopback(patient.address)}:{METRICS_PORT}/readyz",
        )


def of_member(ask: Ask) -> Iterable[Finding]:
    """By its gateway's answers to a path and a body."""
    status = ask("/v3/maintenance/status", {})
    yield from _leader(status)
    yield from _size(status)
    for alarm in ask("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", ()):
        yield Finding(
            f"EtcdAlarm-{alarm.get('alarm', 'UNKNOWN')}",
            f"etcd raises the alarm {alarm.get('alarm')}",
            "etcdctl compact, defrag, then alarm disarm: docs/troubleshooting.md has the lines",
        )
    for one in ask("/v3/cluster/member/list", {}).get("members", ()):
        yield from _learner(one)


def _leader(status: Mapping[str, Any]) -> Iterable[Finding]:
    if str(status.get("leader", "0")) == "0":
        yield Finding(
            "EtcdLeader",
            "etcd has no leader: most members do not answer",
            "kubeboot etcd status shows which are missing; if most are gone for good, kubeboot etcd recover",
        )


def _size(status: Mapping[str, Any]) -> Iterable[Finding]:
    size, quota = int(status.get("dbSize", 0)), int(status.get("dbSizeQuota", 0)) or QUOTA
    if size > FULL * quota:
        yield Finding(
            "EtcdSize",
            f"etcd's data takes {size >> 20} MiB of {quota >> 20}",
            "etcdctl compact, defrag, one member after the other: docs/troubleshooting.md has the lines",
            "error" if size > TOO_FULL * quota else "warning",
        )


def _learner(one: Mapping[str, Any]) -> Iterable[Finding]:
    if one.get("isLearner") or not one.get("name"):
        name = one.get("name") or ", ".join(one.get("peerURLs", ()))
        yield Finding(
            "EtcdLearner",
            f"etcd's member {name} does not vote: its join did not finish",
            "run that join again, or kubeboot node remove it",
            "warning",
        )


def member(patient: Patient) -> Ask:
    """What asks this machine's member; KubebootError when it cannot be asked."""
    read = patient.see.read
    who = f"{_ETCD}/healthcheck-client"
    authority, certificate, key = (
        read(path) or b"" for path in (f"{_ETCD}/ca.crt", f"{who}.crt", f"{who}.key")
    )
    if not key:
        raise errors.KubebootError(f"there is no {who}.key on this machine")
    where = endpoint.url(loopback(patient.address), CLIENT_PORT)
    session = Session(Endpoint(where, authority, certificate, key, tls_server_name="localhost"))

    def ask(path: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = session.request(
            "POST", path, json.dumps(data).encode(), {"Content-Type": "application/json"}, 5.0
        )
        found = json.loads(answer.body) if answer.status == 200 else None
        if not isinstance(found, dict):
            raise errors.KubebootError(f"it answers {answer.status} to {path}")
        return found

    return ask
