"""Patches, as kubeadm has them: what they change, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot import errors, render
from kubeboot.config.patching import json_patch, strategic
from kubeboot.config.spec import ClusterSpec, Patch

KUBELET = "kubeletconfiguration"
COREDNS = "corednsdeployment"
_FIXED = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))


def of(spec: ClusterSpec, target: str) -> tuple[Patch, ...]:
    """The patches of one target, in their order."""
    return tuple(patch for patch in spec.patches.inline if patch.target == target)


def apply(target: Mapping[str, Any], patches: Iterable[Patch]) -> dict[str, Any]:
    """The document with its patches; ConfigInvalid when one of them does not fit."""
    done: Any = dict(target)
    for patch in patches:
        try:
            for change in render.load_all(patch.patch):
                done = _one(done, patch, change)
            _same(target, done)
        except ValueError as wrong:
            raise errors.ConfigInvalid(
                f"the {patch.type} patch of {patch.target} cannot be applied: {wrong}",
                hint="`kubeboot config print --effective` shows every patch",
                reason="KB_PATCH",
            ) from None
    return dict(done)


def _one(target: Any, patch: Patch, change: Any) -> Any:  # noqa: ANN401 - JSON
    if patch.type == "json":
        return json_patch.patch(target, change)
    if not isinstance(change, Mapping):
        raise ValueError(f"a {patch.type} patch is a mapping")
    if patch.type == "merge":
        return json_patch.merge(target, change)
    return strategic.merge(target, change, {} if patch.target == KUBELET else strategic.POD)


def _same(before: Mapping[str, Any], after: object) -> None:
    """A pod of another name would be another pod."""
    for path in _FIXED:
        if _at(before, path) != _at(after, path):
            raise ValueError(f"it changes {'.'.join(path)}, by which the document is found")


def _at(data: object, path: Iterable[str]) -> object:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data
