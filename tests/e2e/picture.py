"""What a clean run leaves on a machine and in its cluster, to be compared with what a killed one leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.harness import Machine, members, sections

ADMIN = "/etc/kubernetes/admin.conf"
MADE = Path(__file__).with_name("made.sh").read_text()
OBJECTS = f"""
export KUBECONFIG={ADMIN}
kinds=$(kubectl api-resources --verbs=list -o name | grep -v -x -E '{{}}' | paste -sd,)
exec kubectl get "$kinds" -A -o json
"""
PASSING = (
    "events.*", "leases.*", "endpoints", "endpointslices.*", "replicasets.*", "controllerrevisions.*",
    "certificatesigningrequests.*", "componentstatuses", "podmetrics.*", "nodemetrics.*", "ipaddresses.*",
)  # fmt: skip
"""Kinds that come and go, or that others make of those that are compared."""
BORN = (
    (re.compile(r"-----BEGIN.*?-----END [A-Z ]+-----", re.DOTALL), "PEM"),
    (re.compile(r"(certificate-authority-data: )\S+?(?=\\n)"), r"\1PEM"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T-]\d\d[:-]\d\d[:-]\d\d[\d.]*Z?"), "TIME"),
    (re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}"), "MAC"),
    (re.compile(r"bootstrap-token-[a-z0-9]{6}"), "bootstrap-token"),
    (re.compile(r"(kube-apiserver-serving:)[0-9a-f]+"), r"\1HASH"),
    (re.compile(r"jws-kubeconfig-[a-z0-9]{6}(\": \")[^\"]*"), r"jws-kubeconfig\1"),
)
"""What no two runs have in common."""
BOOKKEEPING = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"}
)


def picture(machine: Machine, of: Machine | None = None) -> dict[str, str]:
    """The machine by section; with a control plane to ask, its cluster's objects and etcd's members too."""
    made = sections(machine.run("sh", "-s", stdin=MADE.encode()).out)
    asked = of or machine
    if of is not None or machine.role == "control_plane":
        made["objects"] = objects(asked)
        made["members"] = "\n".join(map(str, sorted(members(asked).items())))
    return {name: _plain(body) for name, body in made.items()}


def objects(cp: Machine) -> str:
    """A line for every object."""
    found = cp.run("sh", "-s", stdin=OBJECTS.format("|".join(PASSING)).encode()).out
    return "\n".join(sorted(_object(obj) for obj in json.loads(found)["items"] if not _placed(obj)))


def _placed(obj: dict[str, Any]) -> bool:
    """A pod that may be on any machine, or mirrors a static one, as kubelets do a minute later."""
    owners = obj["metadata"].get("ownerReferences", ())
    return obj["kind"] == "Pod" and not any(owner["kind"] == "DaemonSet" for owner in owners)


def _object(obj: dict[str, Any]) -> str:
    meta = {key: value for key, value in obj["metadata"].items() if key not in BOOKKEEPING}
    kind, spec = obj["kind"], obj.get("spec", {})
    body = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    if kind == "Pod":
        ready = [status["ready"] for status in obj["status"].get("containerStatuses", ())]
        body = {"node": spec.get("nodeName"), "ready": ready}
        meta = {"name": meta.get("generateName", meta["name"]), "namespace": meta["namespace"]}
    if kind == "Secret":
        body["data"] = sorted(obj.get("data", ()))
    if kind == "Node":
        body["spec"] = sorted(taint["key"] for taint in spec.get("taints", ()) if not _passing(taint))
    where = f"{kind} {meta.pop('namespace', '')}/{meta.pop('name')}"
    return f"{where} {json.dumps({**body, 'metadata': meta}, sort_keys=True)}"


def _passing(taint: dict[str, Any]) -> bool:
    """Set by the node controller, and taken away again (a computer's disk that is nearly full, say)."""
    return str(taint["key"]).startswith("node.kubernetes.io/")


def _plain(body: str) -> str:
    for pattern, instead in BORN:
        body = pattern.sub(instead, body)
    return body
