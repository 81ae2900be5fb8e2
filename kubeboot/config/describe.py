"""A spec as a configuration file, and the JSON Schema of such files."""

from __future__ import annotations

from typing import Any

from kubeboot.config import durations, wording
from kubeboot.config.run import RunSettings
from kubeboot.config.spec import API_VERSION, ClusterSpec

KIND = "Cluster"
_HEAD = {"apiVersion": API_VERSION, "kind": KIND}


def document(spec: ClusterSpec) -> dict[str, Any]:
    """The spec as a file would say it; what is not set is left out."""
    return {**_HEAD, **spec.model_dump(mode="json", by_alias=True, exclude_none=True)}


def said(spec: ClusterSpec) -> dict[str, Any]:
    """The spec as a file would say it, with no more than what someone said."""
    return {**_HEAD, **spec.model_dump(mode="json", by_alias=True, exclude_unset=True)}


def flags(run: RunSettings) -> list[str]:
    """What kubeadm's files say of one run, which a Cluster document does not say: the flags for it."""
    table: tuple[tuple[str, object, str], ...] = (
        ("the bootstrap token", run.token, "give it with --token-file"),
        ("the token's lifetime", run.token_ttl, f"give it with --token-ttl {_duration(run)}"),
        ("skipPhases", run.skip_phases, f"give --skip-phases {','.join(run.skip_phases)}"),
        (
            "ignorePreflightErrors",
            run.ignore_preflight_errors,
            f"give --ignore-preflight-errors {','.join(run.ignore_preflight_errors)}",
        ),
        ("dryRun", run.dry_run, "give --dry-run"),
        ("the API server's address", run.endpoint, f"give it as `kubeboot join {run.endpoint}`"),
        ("caCertHashes", run.ca_pins, f"give --discovery-token-ca-cert-hash {','.join(run.ca_pins)}"),
        ("controlPlane", run.control_plane, "give --control-plane"),
        ("certificateKey", run.certificate_key, "give it with --certificate-key-file"),
    )
    return [
        f"{what} is not part of a Cluster document: {how}" for what, said, how in table if said not in _UNSAID
    ]


_UNSAID = (None, (), False)


def _duration(run: RunSettings) -> str:
    return durations.words(run.token_ttl) if run.token_ttl else "0"


def schema() -> dict[str, Any]:
    """The schema that editors check a file against."""
    inner = ClusterSpec.model_json_schema(by_alias=True)
    _describe("ClusterSpec", inner["properties"])
    for name, model in inner["$defs"].items():
        _describe(name, model["properties"])
    head = {name: {"const": value, "title": name} for name, value in _HEAD.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **inner,
        "title": f"{API_VERSION} {KIND}",
        "properties": {**head, **inner["properties"]},
        "required": list(_HEAD),
    }


def _describe(model: str, properties: dict[str, Any]) -> None:
    for field, shape in properties.items():
        shape["description"] = wording.of(model, field)
