"""haproxy on nodes that others joined (`kubeadm join`): kube-proxy and flannel look for it there too.

Nodes of kubeboot's own carry a label and have a static pod. On others a DaemonSet runs it, with its servers
from a ConfigMap: one key for each control plane, so that two that join at once do not undo each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Check, Drift, Ok, Ref, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import Object
from kubeboot.steps import haproxy, manifests, objects
from kubeboot.steps.kubelet import settings as kubelet_config
from kubeboot.steps.static_pod import PKI

NAME = "kubeboot-local-lb"
"""The DaemonSet's and the ConfigMap's."""
NAMESPACE = "kube-system"
SERVER = "load-balancer/foreign-server"
_CONFIG_MAP = ("v1", "ConfigMap", NAME, NAMESPACE)
_ANY = NodeSettings(name="", address="127.0.0.1", role="worker")
"""What all of them have in common."""


def steps(
    spec: ClusterSpec, node: NodeSettings, catalog: Catalog, after: Iterable[Ref] = ("control-plane/ready",)
) -> tuple[Step, ...]:
    """For the first control plane: the objects. Nothing where kube-proxy goes by the endpoint."""
    if not balancing.runs_haproxy(spec, "worker"):
        return ()
    found = load(spec, catalog.image("haproxy").name)
    made = manifests.steps(found, "load-balancer", after, {"DaemonSet": (SERVER,)})
    return (*made, *server_steps(spec, node, (*after, made[0].id)))


def server_steps(
    spec: ClusterSpec, node: NodeSettings, after: Iterable[Ref] = ("control-plane/ready",)
) -> tuple[Step, ...]:
    """For every control plane: its API server is one of the servers."""
    if not balancing.runs_haproxy(spec, "worker"):
        return ()
    line = haproxy.servers(_ANY, ((node.name, node.address, spec.api_server.bind_port),))
    step = EnsureServer(
        id=SERVER,
        title=f"Tell nodes that others joined about {node.name}",
        on=node.name,
        after=frozenset(after),
        node=node.name,
        line=line,
    )
    return (step,)


def forget(prefix: str, node: str, after: frozenset[Ref]) -> Step:
    """A control plane that goes is no server any more."""
    return NoServer(
        id=f"{prefix}/servers",
        title=f"Remove {node} from the ConfigMap {NAME}",
        on=CLUSTER,
        after=after,
        node=node,
    )


def load(spec: ClusterSpec, image: str) -> tuple[Object, ...]:
    """The ConfigMap without servers, and the DaemonSet: a new config needs no new pods, a new script does."""
    script = ("follow.sh", render.template("haproxy/follow.sh"))
    return manifests.load(
        "haproxy/objects.yaml.j2",
        workload=NAME,
        label=kubelet_config.LOCAL_LB[0],
        image=image,
        files=(script, ("haproxy.base.cfg", haproxy.config(spec, _ANY))),
        inputs=manifests.inputs((script,)),
        health=haproxy.health_port(spec),
        user=haproxy.USER,
        pki=PKI,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureServer(Step):
    """The ConfigMap has one control plane's line; the other keys are others'."""

    node: str
    line: str

    def check(self, see: View, vals: Values) -> Check:
        return objects.answered(see, lambda: self._check(see))

    def _check(self, see: View) -> Check:
        if _servers(see).get(_key(self.node)) == self.line:
            return Ok()
        return Drift(f"{NAMESPACE}/{NAME}: {self.line.strip()}", "change")

    def apply(self, do: Target, vals: Values) -> None:
        data = {"data": {_key(self.node): self.line}}
        if do.api.get(*_CONFIG_MAP) is None:
            meta = {"name": NAME, "namespace": NAMESPACE}
            do.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **data})
        else:
            _patch(do, data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoServer(Step):
    """The ConfigMap, if there is one, has no line of this machine."""

    node: str

    def check(self, see: View, vals: Values) -> Check:
        there = _key(self.node) in _servers(see)
        return Drift(f"{NAMESPACE}/{NAME}: without {self.node}", "change") if there else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        _patch(do, {"data": {_key(self.node): None}})


def _key(node: str) -> str:
    return f"{node}.server"


def _servers(see: View) -> Mapping[str, str]:
    return (see.api.get(*_CONFIG_MAP) or {}).get("data") or {}


def _patch(do: Target, patch: Object) -> None:
    version, kind, name, namespace = _CONFIG_MAP
    do.api.patch_merge(version, kind, name, patch, namespace)
