"""What a cluster says of itself: frozen, and all that a plan may know of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Protocol

import pydantic
import yaml

from kubeboot import errors, render
from kubeboot.config.spec import ClusterSpec
from kubeboot.kube import configmaps, rbac
from kubeboot.kube.api import ApiView, Object

_HEAD = ("apiVersion", "kind")


@dataclasses.dataclass(frozen=True)
class ClusterFacts:
    """`control_planes` are the addresses and ports at which API servers say that they live.

    `silent` are the addresses of control planes that do not, as far as their Nodes may be asked for.
    """

    authority: bytes
    """PEM."""
    spec: ClusterSpec
    kubelet_config: str
    """The YAML that every kubelet of the cluster shares."""
    control_planes: tuple[tuple[str, int], ...]
    version: str
    """Of the API server that was asked."""
    silent: frozenset[str] = frozenset()


class Server(ApiView, Protocol):
    """An API server that tells its version too."""

    def version(self) -> str: ...


def read(api: Server, authority: bytes) -> ClusterFacts:
    """By a join token's rights, or a node's."""
    spec = cluster_spec(api)
    kubelet = _text(api, configmaps.KUBELET, configmaps.KUBELET_KEY)
    return ClusterFacts(authority, spec, kubelet, control_planes(api), api.version())


def control_planes(api: ApiView) -> tuple[tuple[str, int], ...]:
    """The addresses and ports at which API servers say that they live."""
    found = api.get("discovery.k8s.io/v1", "EndpointSlice", "kubernetes", "default")
    return tuple(sorted(_addresses(found or {})))


def cluster_spec(api: ApiView) -> ClusterSpec:
    """The spec that the cluster keeps."""
    return _spec(_text(api, configmaps.KUBEBOOT, configmaps.KUBEBOOT_KEY))


def _text(api: ApiView, name: str, key: str) -> str:
    found = api.get("v1", "ConfigMap", name, rbac.SYSTEM)
    text = (found or {}).get("data", {}).get(key)
    if not text:
        raise errors.Unreachable(
            f"the cluster has no {key} in ConfigMap {rbac.SYSTEM}/{name}",
            hint="was it made by kubeboot? `kubeboot init` on its first machine puts back what is missing",
            reason="KB_NOT_KUBEBOOT",
        )
    return str(text)


def _spec(text: str) -> ClusterSpec:
    """What init has checked is not held against the rules for people's input again."""
    try:
        said = {name: value for name, value in dict(render.load(text)).items() if name not in _HEAD}
        return ClusterSpec.model_validate_json(json.dumps(said), by_alias=True, by_name=False)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise errors.ConfigInvalid(
            f"this version of kubeboot does not understand ConfigMap {configmaps.KUBEBOOT}: {_first(error)}",
            hint="use the version of kubeboot that the control planes have",
            reason="KB_CLUSTER_CONFIG",
        ) from None


def _first(error: Exception) -> str:
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    detail = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"


def _addresses(found: Object) -> Iterator[tuple[str, int]]:
    ports = [int(port["port"]) for port in found.get("ports") or () if port.get("port")]
    for one in found.get("endpoints") or ():
        for address in one.get("addresses") or ():
            yield from ((str(address), port) for port in ports)


def require_free_name(api: ApiView, name: str, machine_id: str) -> None:
    """A Ready Node of this name must be this very machine, joining again."""
    node = api.get("v1", "Node", name)
    if node is None or node.get("status", {}).get("nodeInfo", {}).get("machineID") == machine_id:
        return
    conditions = node.get("status", {}).get("conditions") or ()
    if any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        raise errors.Occupied(
            f"the cluster has another machine with the name {name}, and it is Ready",
            hint="give this one another name with --node-name, or remove the other one first",
            reason="KB_NODE_NAME_TAKEN",
        )
