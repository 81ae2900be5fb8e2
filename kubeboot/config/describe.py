"""A spec as a configuration file, and the JSON Schema of such files."""

from __future__ import annotations

from typing import Any

from kubeboot.config.spec import API_VERSION, ClusterSpec

KIND = "Cluster"
_HEAD = {"apiVersion": API_VERSION, "kind": KIND}


def document(spec: ClusterSpec) -> dict[str, Any]:
    """The spec as a file would say it; what is not set is left out."""
    return {**_HEAD, **spec.model_dump(mode="json", by_alias=True, exclude_none=True)}


def said(spec: ClusterSpec) -> dict[str, Any]:
    """The spec as a file would say it, with no more than what somebody said."""
    return {**_HEAD, **spec.model_dump(mode="json", by_alias=True, exclude_unset=True)}


def schema() -> dict[str, Any]:
    """The schema that editors check a file against."""
    inner = ClusterSpec.model_json_schema(by_alias=True)
    head = {name: {"const": value, "title": name} for name, value in _HEAD.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **inner,
        "title": f"{API_VERSION} {KIND}",
        "properties": {**head, **inner["properties"]},
        "required": list(_HEAD),
    }
