"""The configuration reference: every field, from the schema, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubeboot import render
from kubeboot.config.describe import schema
from kubeboot.config.rules import components as rules_components
from kubeboot.config.spec import API_VERSION, ClusterSpec

Schema = Mapping[str, Any]

_INTRO = f"""# Configuration

<!-- Made by `kubeboot config schema --markdown`; a test fails when it is out of date. -->

A cluster is described by a file:

```yaml
apiVersion: {API_VERSION}
kind: Cluster
```

and everything in it is optional: `kubeboot config print --defaults` prints what holds without a file.
Flags win over `--config` files (later ones over earlier ones, mappings merged, lists replaced), those over
`KUBEBOOT_*` variables, those over `/etc/kubeboot/cluster.yaml`. `kubeboot config validate FILE` says all that
is wrong in one go, with line, field and fix, and ends with exit code 4; with what `kubeboot config schema`
prints, editors complete and check. Unknown fields are refused. A machine that joins takes the description
from the cluster; of its own it says `node`, `artifacts`, and if it must, `patches` and `containerd`.

kubeadm's documents (`kubeadm.k8s.io/v1beta4`, KubeletConfiguration, KubeProxyConfiguration) are taken where a
Cluster document is. What means something else here, or nothing, is said, never dropped;
`kubeboot config migrate FILE` makes a Cluster document of them.

## An example
"""

EXAMPLE = """\
apiVersion: kubeboot.io/v1alpha1
kind: Cluster
clusterName: prod
kubernetesVersion: v1.37.1
controlPlaneEndpoint: k8s.example.org:8443
networking:
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
apiServer:
  certSANs: [k8s.example.org]
  extraArgs:
  - name: oidc-issuer-url
    value: https://login.example.org
featureGates:
  PodLevelResources: true
kubelet:                       # any field of KubeletConfiguration
  maxPods: 200
  systemReserved: {cpu: 200m, memory: 512Mi}
kubeProxy:                     # any field of KubeProxyConfiguration
  nodePortAddresses: [10.0.0.0/24]
dns:
  replicas: 3
  extraCorefile: |
    corp.example.org:53 {
        forward . 10.0.0.53
    }
audit:
  policy:
    apiVersion: audit.k8s.io/v1
    kind: Policy
    rules:
    - level: Metadata
containerd:
  httpsProxy: http://proxy.example.org:3128
  noProxy: [registry.example.org]
registries:
- host: docker.io
  mirrors: [https://mirror.example.org]
patches:
  inline:
  - target: kube-apiserver
    patch: |
      spec:
        containers:
        - name: kube-apiserver
          resources: {requests: {memory: 1Gi}}
  - target: etcd
    type: json
    patch: '[{"op": "add", "path": "/metadata/labels/team", "value": "platform"}]'
node:
  labels: {example.org/rack: a1}
"""


def markdown() -> str:
    """docs/configuration.md."""
    found = schema()
    models = found["$defs"]
    parts = [f"{_INTRO}\n```yaml\n{EXAMPLE}```\n", _section("Cluster", found, models)]
    parts += [_section(name, models[name], models) for name in _used(found, models)]
    return "\n".join([*parts, _owned()])


def _used(found: Schema, models: Schema) -> list[str]:
    """The models in the order in which a reader meets them."""
    order: list[str] = []
    for field in found["properties"].values():
        for name in _refs(field):
            if name not in order:
                order += [name, *(n for n in _used(models[name], models) if n not in order)]
    return list(dict.fromkeys(order))


def _refs(field: object) -> Iterator[str]:
    if isinstance(field, dict):
        if "$ref" in field:
            yield field["$ref"].rpartition("/")[2]
        for inner in field.values():
            yield from _refs(inner)
    elif isinstance(field, list):
        for inner in field:
            yield from _refs(inner)


def _section(name: str, model: Schema, models: Schema) -> str:
    said = model.get("description", "").replace("\n", " ") if name != "Cluster" else ""
    fields = model["properties"].items()
    rows = [_row(name, f, shape, models) for f, shape in fields if f not in ("apiVersion", "kind")]
    head = "| field | type | default | |\n|---|---|---|---|"
    return "\n".join([f"## {name}\n", *([f"{said}\n"] if said else []), head, *rows, ""])


def _row(model: str, field: str, shape: Schema, models: Schema) -> str:
    default = _default(model, field, shape, models)
    return f"| `{field}` | {_type(shape)} | {default} | {shape.get('description', '')} |"


def _type(shape: Schema) -> str:
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in shape:
        return next(_type(s) for s in shape["anyOf"] if s.get("type") != "null")
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'])}"
    if shape.get("type") == "object":
        inner = shape.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, dict) else "mapping"
    return _NAMES.get(str(shape.get("type")), "anything") + _bounds(shape)


_NAMES = {"string": "text", "integer": "number", "boolean": "true or false"}


def _bounds(shape: Schema) -> str:
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is None:
        return ""
    return f", {low} to {high}" if high is not None else f", at least {low}"


def _default(model: str, field: str, shape: Schema, models: Schema) -> str:
    if field in models.get(model, {}).get("required", ()):
        return "**required**"
    value = shape.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    return f"`{render.dump({'': value}).partition(': ')[2].strip()}`"


def _owned() -> str:
    """What nobody but kubeboot sets in other programs' settings."""
    spec = ClusterSpec()
    lines = ["## What kubeboot keeps to itself", "", "| field | because |", "|---|---|"]
    tables = (
        ("kubelet", rules_components.owned_by_kubelet(spec)),
        ("kubeProxy", rules_components.owned_by_proxy(spec)),
    )
    for section, table in tables:
        lines += [f"| `{section}.{field}` | {why} |" for field, (why, _) in table.items()]
    return "\n".join([*lines, ""])
