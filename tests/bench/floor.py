"""The floor: how long etcd and kube-apiserver take to /readyz as bare processes."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.bench.machines import cached

ETCD, PEER, API = 22379, 22380, 26443


def measure() -> float:
    """Seconds to the first /readyz that says ok."""
    room = Path(tempfile.mkdtemp(prefix="kubeboot-floor-"))
    key = room / "sa.key"
    subprocess.run(("openssl", "genrsa", "-out", str(key), "2048"), check=True, capture_output=True)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        began = time.monotonic()
        for argv in (_etcd(room), _apiserver(room, key)):
            processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        _ready()
        return time.monotonic() - began
    finally:
        for process in reversed(processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(room, ignore_errors=True)


def _etcd(room: Path) -> tuple[str, ...]:
    client, peer = f"http://127.0.0.1:{ETCD}", f"http://127.0.0.1:{PEER}"
    return (
        str(cached("etcd")),
        f"--data-dir={room}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    )


def _apiserver(room: Path, key: Path) -> tuple[str, ...]:
    return (
        str(cached("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{ETCD}",
        f"--cert-dir={room}/certs",
        f"--secure-port={API}",
        "--bind-address=127.0.0.1",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.96.0.0/12",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
    )


def _ready() -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(
                f"https://127.0.0.1:{API}/readyz", timeout=2, context=context
            ) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError("the API server was not ready within 60 s")
