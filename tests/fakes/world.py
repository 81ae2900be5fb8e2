"""A machine and a cluster in memory that live: what a started unit, or a new object, sets off.

The kubelet starts what is in its manifests, controllers make what they make, pods leave behind what they do
on real machines, and what lies in containerd's directory is gone when that directory is.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import functools
import socket
import threading
from collections.abc import Iterator
from typing import Any

from cryptography import x509

from kubeboot import render
from kubeboot.engine.step import Target
from kubeboot.host.facts import Facts, Nic
from kubeboot.host.model import Container, Link, Mount, Unit
from kubeboot.kube import bootstrap
from kubeboot.kube.api import Object
from kubeboot.kube.etcd import Member
from kubeboot.pki import build, jws, table
from kubeboot.steps import first_pods
from kubeboot.steps.etcd import METRICS_PORT
from kubeboot.steps.kubelet import csr as kubelet_csr
from kubeboot.steps.pod_manifest import INPUTS
from kubeboot.steps.static_pod import MANIFESTS
from tests.fakes.api import FakeApi
from tests.fakes.dns import answer
from tests.fakes.entries import Dir, File
from tests.fakes.host import FakeHost

ADDRESS = "192.0.2.11"
DNS = "10.96.0.10"
CONTAINERD, KUBELET = "/var/lib/containerd", "/var/lib/kubelet"
CGROUPS = "/sys/fs/cgroup/kubepods.slice"


_TABLES = (
    "files", "dirs", "symlinks", "sysctls", "modules", "image_table", "container_table", "mount_table",
    "link_table", "nft", "dialers", "process_table",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class State:
    """A world at one moment."""

    tables: dict[str, Any]
    systemd: dict[str, Any]
    objects: dict[Any, Any]
    unavailable: str | None
    members: tuple[Member, ...] = ()


class LivingHost(FakeHost):
    """A FakeHost whose world goes on after every change."""

    def __init__(self, name: str, world: World, address: str) -> None:
        nics = (Nic("eth0", (f"{address}/24",)),)
        super().__init__(
            name, Facts(name, machine_id="m1", nics=nics, default_nic="eth0", default_source=address)
        )
        self.world = world

    @contextlib.contextmanager
    def _change(self, op: str, subject: str) -> Iterator[None]:
        with super()._change(op, subject):
            yield
        self.world.turn()


class LivingApi(FakeApi):
    """A FakeApi whose world goes on after every write."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def apply(self, obj: Object) -> Object:
        done = super().apply(obj)
        self.world.turn()
        return done

    def create(self, obj: Object) -> Object:
        done = super().create(obj)
        self.world.turn()
        return done


class World:
    """One machine and its cluster. `served` by another machine, or (None) by this one's static pods."""

    def __init__(self, name: str, signer: build.Pair | None = None, address: str = ADDRESS) -> None:
        self._lock = threading.RLock()
        self.signer = signer
        self.host = LivingHost(name, self, address)
        self.api = LivingApi(self)
        if signer is None:
            self.api.unavailable = "connection refused"
        self.furnish()

    def furnish(self) -> None:
        """What somebody had on the machine before, and wants back."""
        files = {
            "/etc/containerd/config.toml": File(b"# theirs\n", 0o640),
            "/usr/local/bin/runc": File(b"their runc", 0o755),
            "/opt/cni/bin/theirs": File(b"plugin", 0o755),
        }
        self.host.files |= files
        self.host.symlinks["/usr/local/bin/kubectl"] = "/usr/bin/true"
        for path in ("/etc/containerd", "/opt/cni", "/opt/cni/bin", "/var/lib/containerd"):
            self.host.dirs[path] = Dir(0o711)

    def target(self, on: str) -> Target:
        """What a step acts with that is `on` the machine, or on @cluster."""
        return Target(self.host, self.api)

    def sound(self) -> None:
        """What must hold at every moment, whoever died."""

    def cluster(self) -> dict[str, object]:
        """What the cluster knows of its machines, where that is more than this one."""
        return {}

    def turn(self) -> None:
        """Everything that reacts, until nothing does."""
        with self._lock:
            self._containerd()
            self._kubelet()
            if self.api.unavailable is None:
                self._controllers()
                self._pods()

    def save(self) -> State:
        """The machine and the cluster as they are; what is kept in their tables never changes itself."""
        host, api = self.host, self.api
        tables = {name: copy.copy(getattr(host, name)) for name in _TABLES}
        systemd = {name: copy.copy(getattr(host.systemd, name)) for name in ("units", "loaded", "next_pid")}
        return State(tables, systemd, dict(api.objects), api.unavailable)

    def restore(self, state: State) -> None:
        """Be as `state` says."""
        for name, kept in state.tables.items():
            setattr(self.host, name, copy.copy(kept))
        for name, kept in state.systemd.items():
            setattr(self.host.systemd, name, copy.copy(kept))
        self.api.objects, self.api.unavailable = dict(state.objects), state.unavailable

    def runs(self, unit: str) -> bool:
        return self.host.systemd.units.get(unit, Unit(unit)).active == "active"

    def has(self, pod: str) -> bool:
        """A static pod runs: the kubelet does, and has its manifest, image included."""
        return self.runs("kubelet.service") and f"{MANIFESTS}/{pod}.yaml" in self.host.files

    def _containerd(self) -> None:
        host = self.host
        if self.runs("containerd.service"):
            self._leave(f"{CONTAINERD}/meta.db", "/run/containerd/containerd.sock", "/opt/containerd/bin/x")
        elif f"{CONTAINERD}/meta.db" not in host.files:
            host.image_table.clear()
            host.container_table.clear()

    def _kubelet(self) -> None:
        if self.runs("kubelet.service"):
            self._leave(f"{KUBELET}/cpu_manager_state", f"{KUBELET}/pods/1/token", "/var/log/pods/1/0.log")
        if self.has("etcd"):
            self.host.dialers["127.0.0.1", METRICS_PORT] = said_ready
        if self.signer is None:
            both = self.has("etcd") and self.has("kube-apiserver")
            self.api.unavailable = None if both else "connection refused"

    def _controllers(self) -> None:
        if self.signer is None:
            self._namespaces()
        if self.signer is not None or self.has("kube-controller-manager"):
            for space in self.api.list("v1", "Namespace"):
                self._made(
                    "v1", "ConfigMap", "kube-root-ca.crt", space["metadata"]["name"], data={"ca.crt": "x"}
                )
            self._sign_tokens()
            self._sign_requests()
        if self.runs("kubelet.service"):
            self._register()

    def _namespaces(self) -> None:
        for name in ("default", "kube-system", "kube-public"):
            self._made("v1", "Namespace", name)
        for name in ("cluster-admin", "system:kube-controller-manager", "system:kube-scheduler"):
            for kind in ("ClusterRole", "ClusterRoleBinding"):
                self._made("rbac.authorization.k8s.io/v1", kind, name)
        self._mirror()

    def _mirror(self) -> None:
        inputs = {"annotations": {INPUTS: _inputs(self.host.files[f"{MANIFESTS}/kube-apiserver.yaml"].data)}}
        meta = {"name": f"kube-apiserver-{self.host.name}", "namespace": "kube-system", **inputs}
        self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta})

    def _register(self) -> None:
        name = self.host.name
        node = self.api.get("v1", "Node", name)
        assigned = self.signer is not None or self.has("kube-controller-manager")
        ready = self._exists("apps/v1", "DaemonSet", "kube-flannel-ds", "kube-flannel")
        spec = {**(node or {}).get("spec", {}), **({"podCIDR": "10.244.0.0/24"} if assigned else {})}
        meta = (node or {}).get("metadata") or {"name": name, "labels": {"kubernetes.io/hostname": name}}
        conditions = [{"type": "Ready", "status": str(ready), "message": "cni plugin not initialized"}]
        status = {"nodeInfo": {"machineID": "m1"}, "conditions": conditions}
        wanted = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec, "status": status}
        if wanted != node:
            self.api.put(wanted)

    def _pods(self) -> None:
        host = self.host
        if not self.runs("kubelet.service") or not self.runs("containerd.service"):
            return
        for name in ("etcd", "kube-apiserver", "haproxy"):
            if self.has(name):
                host.container_table.setdefault(name, Container(name, "x", pod=name, namespace="kube-system"))
                host.dirs.setdefault(CGROUPS, Dir())
        if self._exists("apps/v1", "DaemonSet", "kube-proxy", "kube-system"):
            host.nft = [table for table in host.nft if table != ("ip", "kube-proxy")] + [("ip", "kube-proxy")]
            self._daemon("kube-system", {"k8s-app": "kube-proxy"})
        if self._exists("apps/v1", "DaemonSet", "kube-flannel-ds", "kube-flannel"):
            self._flannel()
            self._daemon("kube-flannel", {"app": "flannel"})
        if self._exists("apps/v1", "Deployment", "coredns", "kube-system"):
            host.dialers[DNS, 53] = _name_server

    def _daemon(self, space: str, labels: dict[str, str]) -> None:
        """A DaemonSet's pod on this machine, which is Ready."""
        name = "-".join((*labels.values(), self.host.name))
        if not self._exists("v1", "Pod", name, space):
            meta = {"name": name, "namespace": space, "labels": labels}
            state = {"conditions": [{"type": "Ready", "status": "True"}]}
            spec = {"nodeName": self.host.name}
            self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": state})

    def _flannel(self) -> None:
        """It writes what `network/first-pods` writes, whichever comes first."""
        own = first_pods.subnet("10.244.0.0/16", "10.244.0.0/24", first_pods.FALLBACK_MTU - first_pods.VXLAN)
        self._leave(first_pods.SUBNET, data=own.encode())
        self._leave(first_pods.CONFIG, data=render.template("flannel/cni-conf.json").encode())
        self._leave("/var/lib/cni/networks/1")
        self.host.symlinks.setdefault(first_pods.LINK, first_pods.CONFIG)
        for name in ("cni0", "flannel.1"):
            self.host.link_table.setdefault(name, Link(name))
        point = f"{KUBELET}/pods/1/volumes/token"
        if all(mount.point != point for mount in self.host.mount_table):
            self.host.mount_table.append(Mount("tmpfs", point, "tmpfs"))

    def _sign_tokens(self) -> None:
        info = self.api.get("v1", "ConfigMap", "cluster-info", "kube-public")
        for token in bootstrap.listing(self.api) if info else ():
            key = jws.KEY_PREFIX + token.token.id
            if info and key not in info["data"]:
                signature = jws.sign(info["data"]["kubeconfig"], token.token)
                self.api.put({**info, "data": {**info["data"], key: signature}})

    def _sign_requests(self) -> None:
        for found in self.api.list(*kubelet_csr.API):
            if found.get("status") or self.signer is None:
                continue
            asked = x509.load_pem_x509_csr(base64.b64decode(found["spec"]["request"]))
            profile = table.kubelet_profile(self.host.name)
            made = build.certificate(profile, asked.public_key(), self.signer, days=365, at=build.now())  # type: ignore[arg-type]
            status = {
                "conditions": [{"type": "Approved", "status": "True"}],
                "certificate": base64.b64encode(made).decode(),
            }
            self.api.put({**found, "status": status})

    def _made(self, version: str, kind: str, name: str, space: str | None = None, **fields: object) -> None:
        if not self._exists(version, kind, name, space):
            where = {"namespace": space} if space else {}
            self.api.put({"apiVersion": version, "kind": kind, "metadata": {"name": name, **where}, **fields})

    def _exists(self, version: str, kind: str, name: str, space: str | None = None) -> bool:
        return (version, kind, space or "", name) in self.api.objects

    def _leave(self, *paths: str, data: bytes = b"state") -> None:
        """Files of processes, with the directories above them."""
        for path in paths:
            if path not in self.host.files:
                self.host._parents(path)
                self.host.files[path] = File(data)


@functools.cache
def _inputs(manifest: bytes) -> str:
    return str(render.load(manifest)["metadata"]["annotations"][INPUTS])


class _Answered(socket.socket):
    """Ours of a pair whose other end has said everything already, and listens as long as we do."""

    other: socket.socket

    def close(self) -> None:
        self.other.close()
        super().close()


def said_ready(status: int = 200) -> socket.socket:
    """A connection on which /readyz has been answered."""
    first, second = socket.socketpair()
    ours = _Answered(fileno=first.detach())
    ours.other = second
    second.sendall(f"HTTP/1.1 {status} .\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
    return ours


def _name_server() -> socket.socket:
    first, second = socket.socketpair()
    ours = _Answered(fileno=first.detach())
    ours.other = second
    reply = answer("10.96.0.1")
    second.sendall(len(reply).to_bytes(2, "big") + reply)
    return ours
