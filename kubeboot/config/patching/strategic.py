"""Strategic merge patch for pods and what holds pods: lists of named things are merged by their names."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

POD: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
}
"""By which field items of a list are the same, as in Kubernetes' types. Other lists are replaced."""

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"


def merge(target: Any, changes: Any, keys: Mapping[str, str], at: str = "") -> Any:  # noqa: ANN401 - JSON
    """The target with the changes; ValueError says what cannot be done. `keys`: POD, or nothing."""
    if not isinstance(changes, Mapping) or not isinstance(target, Mapping):
        return plain(changes, at)
    match changes.get(_DIRECTIVE):
        case None | "merge":
            return _mapping(target, changes, keys, at)
        case "replace":
            return plain({k: v for k, v in changes.items() if k != _DIRECTIVE}, at)
        case other:
            raise ValueError(f"{at or 'the document'}: `$patch: {other}` is not possible here")


def _mapping(target: Mapping[str, Any], changes: Mapping[str, Any], keys: Mapping[str, str], at: str) -> Any:  # noqa: ANN401
    done = dict(target)
    for name, value in changes.items():
        where = f"{at}.{name}" if at else str(name)
        if name in (_DIRECTIVE, _RETAIN):
            continue
        if str(name).startswith("$"):
            raise ValueError(f"{where} is not supported; use a patch of type json for it")
        if value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete"):
            done.pop(name, None)
        elif isinstance(value, list) and name in keys and isinstance(done.get(name), list):
            done[name] = _items(done[name], value, keys, where)
        else:
            done[name] = merge(done.get(name), value, keys, where)
    return _retained(done, changes, at)


def _retained(done: dict[str, Any], changes: Mapping[str, Any], at: str) -> dict[str, Any]:
    if _RETAIN not in changes:
        return done
    kept = changes[_RETAIN]
    if not isinstance(kept, list):
        raise ValueError(f"{at}: `$retainKeys` is a list of fields")
    return {name: value for name, value in done.items() if name in kept}


def _items(target: Sequence[Any], changes: Sequence[Any], keys: Mapping[str, str], at: str) -> list[Any]:
    if {_DIRECTIVE: "replace"} in changes:
        return [plain(item, at) for item in changes if item != {_DIRECTIVE: "replace"}]
    key, done = keys[at.rpartition(".")[2]], list(target)
    for change in changes:
        place = _place(done, change, key, at)
        delete = change.get(_DIRECTIVE) == "delete"
        if place is None and not delete:
            done.append(plain({k: v for k, v in change.items() if k != _DIRECTIVE}, at))
        elif place is not None and delete:
            del done[place]
        elif place is not None:
            done[place] = merge(done[place], change, keys, f"{at}[{change[key]}]")
    return done


def _place(items: Sequence[Any], change: object, key: str, at: str) -> int | None:
    if not isinstance(change, Mapping) or key not in change:
        raise ValueError(f"{at}: every item of the patch needs its `{key}`")
    found = [n for n, item in enumerate(items) if item.get(key) == change[key]]
    if len(found) > 1:
        raise ValueError(f"{at}: {len(found)} items have `{key}: {change[key]}`; use a patch of type json")
    return found[0] if found else None


def plain(value: Any, at: str) -> Any:  # noqa: ANN401
    """A value that is new, less its nulls; a directive in it would be left over."""
    if isinstance(value, Mapping):
        for name in value:
            if str(name).startswith("$"):
                raise ValueError(f"{at}: `{name}` has nothing to act on")
        return {name: plain(inner, f"{at}.{name}") for name, inner in value.items() if inner is not None}
    return [plain(item, at) for item in value] if isinstance(value, list) else copy.deepcopy(value)
