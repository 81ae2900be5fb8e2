"""Descriptions laid over each other: the upper one wins, mappings are merged, lists are replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.config.problems import Origin, Path


@dataclasses.dataclass(frozen=True)
class Layer:
    """A part of a description, and where each of its values was said."""

    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origins: Mapping[Path, Origin] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One value from outside of any file: a flag's, or a variable's."""

    path: Path
    value: Any
    origin: Origin


def of_settings(settings: Iterable[Setting]) -> Layer:
    """A layer of single values."""
    layer = Layer()
    for setting in settings:
        data: Any = setting.value
        for part in reversed(setting.path):
            data = {part: data}
        layer = over(layer, Layer(data, {setting.path: setting.origin}))
    return layer


def over(lower: Layer, upper: Layer) -> Layer:
    """The upper layer's values, and the lower one's where it has none."""
    data, replaced = _merge(lower.data, upper.data, ())
    kept = {
        path: origin
        for path, origin in lower.origins.items()
        if not any(path[: len(r)] == r for r in replaced)
    }
    return Layer(data, {**kept, **upper.origins})


def _merge(lower: Mapping[str, Any], upper: Mapping[str, Any], at: Path) -> tuple[dict[str, Any], list[Path]]:
    data, replaced = dict(lower), []
    for key, value in upper.items():
        below = data.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            data[key], inner = _merge(below, value, (*at, key))
            replaced += inner
        else:
            replaced.append((*at, key))
            data[key] = value
    return data, replaced
