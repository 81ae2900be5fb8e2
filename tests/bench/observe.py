"""The outside observer: a pod that asks for kubernetes.default until it is answered.

The pod writes its answer into a directory of its machine, which the observer reads without any of the
machine's processor time: on two cores a polling `kubectl exec` would be a good part of what it measures.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from tests.bench.machines import Machine

ANSWERED = "/var/lib/bench/answered"
ADMIN = "/etc/kubernetes/admin.conf"
ASK = """
until timeout 0.3 nslookup kubernetes.default.svc.cluster.local >/tmp/said 2>&1 && grep -q 10.96.0.1 /tmp/said
do sleep 0.1; done
cp /tmp/said /bench/.said && mv /bench/.said /bench/answered; sleep 3600
"""
RUNS = "date >/bench/.said && mv /bench/.said /bench/answered; sleep 3600"


def pod(name: str, node: str, command: str) -> dict[str, Any]:
    """A plain pod on the pod network of one node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "probe",
                    "image": "docker.io/library/httpd:latest",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", command],
                    "volumeMounts": [{"name": "bench", "mountPath": "/bench"}],
                }
            ],
            "volumes": [
                {"name": "bench", "hostPath": {"path": "/var/lib/bench", "type": "DirectoryOrCreate"}}
            ],
        },
    }


class Api:
    """A cluster's API from outside, as its administrator."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._context: ssl.SSLContext | None = None

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        if self._context is None:
            self._context = _context(self._machine.read(ADMIN) or b"")
        return http.client.HTTPSConnection(
            self._machine.address, 6443, timeout=timeout, context=self._context
        )

    def ask(self, method: str, path: str, body: object = None, *, timeout: float = 5) -> tuple[int, Any]:
        """Status and answer (timeout: seconds); OSError, ValueError or TypeError while there is no API."""
        connection = self._connect(timeout)
        try:
            sent = json.dumps(body) if body is not None else None
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def create_pod(self, wanted: dict[str, Any], stop: threading.Event) -> None:
        """Create it as soon as the API takes it."""
        while not stop.wait(0.2):
            try:
                status, _ = self.ask("POST", "/api/v1/namespaces/default/pods", wanted)
            except (OSError, ValueError, TypeError, http.client.HTTPException):
                continue
            if status in (201, 409):
                return


def _context(kubeconfig: bytes) -> ssl.SSLContext:
    config = yaml.safe_load(kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=ca)
    with tempfile.NamedTemporaryFile() as both:
        both.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
        both.write(base64.b64decode(user["client-key-data"]))
        both.flush()
        context.load_cert_chain(both.name)
    return context


class Watch:
    """Creates the pod in the background, and notes when its answer is seen."""

    def __init__(self, api_of: Machine, on: Machine, name: str, command: str) -> None:
        self._stop = threading.Event()
        self._seen: float | None = None
        self._on = on
        self._api = Api(api_of)
        (on.root / ANSWERED.lstrip("/")).unlink(missing_ok=True)
        wanted = pod(name, on.name, command)
        self._threads = (
            threading.Thread(target=self._api.create_pod, args=(wanted, self._stop), daemon=True),
            threading.Thread(target=self._look, daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def _look(self) -> None:
        path: Path = self._on.root / ANSWERED.lstrip("/")
        while not self._stop.wait(0.02):
            if path.exists():
                self._seen = time.monotonic()
                return

    def answered(self, seconds: float) -> float:
        """When the answer was seen, on the monotonic clock."""
        self._threads[1].join(seconds)
        self._stop.set()
        if self._seen is None:
            raise TimeoutError(f"no answer in a pod on {self._on.name} within {seconds:.0f} s")
        return self._seen


def restarts(machine: Machine) -> int:
    """Container restarts in the whole cluster."""
    _, pods = Api(machine).ask("GET", "/api/v1/pods")
    kinds = ("containerStatuses", "initContainerStatuses")
    return sum(
        status["restartCount"]
        for p in pods["items"]
        for kind in kinds
        for status in p["status"].get(kind, ())
    )


def logs(machine: Machine, lines: int = 60) -> str:
    """The first words of every container."""
    script = f'for f in /var/log/pods/*/*/*.log; do echo "== $f"; head -n {lines} "$f"; done'
    return machine.run("sh", "-c", script, check=False)


def moments(machine: Machine) -> list[tuple[str, str]]:
    """What the cluster says happened when: events and pods' conditions, in order."""
    api = Api(machine)
    _, events = api.ask("GET", "/api/v1/events")
    _, pods = api.ask("GET", "/api/v1/pods")
    found = [
        (
            e.get("firstTimestamp") or e.get("eventTime") or "",
            f"{e['involvedObject']['kind']}/{e['involvedObject'].get('name')} {e.get('reason')}:"
            f" {e.get('message', '')[:140]}",
        )
        for e in events["items"]
    ]
    for p in pods["items"]:
        for c in p["status"].get("conditions", ()):
            found.append((c["lastTransitionTime"], f"Pod/{p['metadata']['name']} {c['type']}={c['status']}"))
    return sorted(found)
