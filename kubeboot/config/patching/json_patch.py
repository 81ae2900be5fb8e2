"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) on plain data; ValueError says what is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def patch(target: object, operations: object) -> Any:  # noqa: ANN401 - JSON
    """The target after a list of operations; the target itself stays as it is."""
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise ValueError("a JSON patch is a list of operations")
    done = copy.deepcopy(target)
    for number, operation in enumerate(operations):
        try:
            done = _operate(done, operation)
        except ValueError as wrong:
            raise ValueError(f"operation {number + 1}: {wrong}") from None
    return done


def merge(target: object, changes: object) -> Any:  # noqa: ANN401
    """Mappings are merged, null removes, everything else replaces."""
    if not isinstance(changes, Mapping):
        return copy.deepcopy(changes)
    done = dict(target) if isinstance(target, Mapping) else {}
    for key, value in changes.items():
        if value is None:
            done.pop(key, None)
        else:
            done[key] = merge(done.get(key), value)
    return done


def _operate(target: Any, operation: object) -> Any:  # noqa: ANN401
    if not isinstance(operation, Mapping):
        raise ValueError("is not a mapping of `op`, `path` and `value`")
    name = operation.get("op")
    function = _OPERATIONS.get(str(name))
    if function is None:
        raise ValueError(f"`{name}` is not one of {', '.join(_OPERATIONS)}")
    return function(target, operation)


def _pointer(operation: Mapping[str, Any], field: str = "path") -> list[str]:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise ValueError(f"`{field}` is not a pointer like /spec/containers/0")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if "value" not in operation:
        raise ValueError("has no `value`")
    return copy.deepcopy(operation["value"])


def _index(items: Sequence[Any], part: str, *, end: bool = False) -> int:
    if part == "-" and end:
        return len(items)
    limit = len(items) + (1 if end else 0)
    if not part.isascii() or not part.isdigit() or (part != "0" and part[0] == "0") or int(part) >= limit:
        raise ValueError(f"`{part}` is no place in a list of {len(items)}")
    return int(part)


def _get(target: Any, parts: Sequence[str]) -> Any:  # noqa: ANN401
    for part in parts:
        if isinstance(target, list):
            target = target[_index(target, part)]
        elif isinstance(target, dict) and part in target:
            target = target[part]
        else:
            raise ValueError(f"there is no `{part}` in /{'/'.join(parts)}")
    return target


def _add(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return _put(target, _pointer(operation), _value(operation))


def _put(target: Any, parts: Sequence[str], value: Any) -> Any:  # noqa: ANN401
    if not parts:
        return value
    parent, last = _get(target, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        parent.insert(_index(parent, last, end=True), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise ValueError(f"`{last}` has nothing to be put into")
    return target


def _take(target: Any, parts: Sequence[str]) -> Any:  # noqa: ANN401
    if not parts:
        raise ValueError("the whole document cannot be removed")
    _get(target, parts)
    parent, last = _get(target, parts[:-1]), parts[-1]
    return parent.pop(_index(parent, last) if isinstance(parent, list) else last)


def _remove(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    _take(target, _pointer(operation))
    return target


def _replace(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    parts, value = _pointer(operation), _value(operation)
    if parts:
        _take(target, parts)
    return _put(target, parts, value)


def _move(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    source, to = _pointer(operation, "from"), _pointer(operation)
    if to[: len(source)] == source and len(to) > len(source):
        raise ValueError("a value cannot be moved into itself")
    return _put(target, to, _take(target, source))


def _copy(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return _put(target, _pointer(operation), copy.deepcopy(_get(target, _pointer(operation, "from"))))


def _test(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    found, wanted = _get(target, _pointer(operation)), _value(operation)
    if found != wanted or isinstance(found, bool) is not isinstance(wanted, bool):
        raise ValueError(f"`{operation['path']}` is not what `test` expects")
    return target


_OPERATIONS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip
