"""Plain data to a ClusterSpec, or to every problem in it at once, in words."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from kubeboot.config import document, rules
from kubeboot.config.model import Model
from kubeboot.config.problems import Origin, Path, Problem, located, meant, nearest, printable
from kubeboot.config.spec import ClusterSpec

_ROUNDS = 8


def validate(
    data: Mapping[str, Any], origins: Mapping[Path, Origin]
) -> tuple[ClusterSpec | None, list[Problem]]:
    """The spec (None when something has the wrong type) and all problems, each with its origin.

    What has the wrong type is taken out and the rest is held against the rules all the same, so that
    a person sees everything in one go.
    """
    found: list[Problem] = []
    broken: list[Path] = []
    rest: dict[str, Any] = dict(data)
    for _ in range(_ROUNDS):
        try:
            spec = ClusterSpec.model_validate(rest, by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            details = error.errors(include_url=False)
            told = [d for d in details if not broken and d["input"] is not document.BROKEN]
            found += [_problem(d, origins) for d in told]
            paths = [tuple(d["loc"]) for d in details]
            broken += paths
            rest = _without(rest, paths)
            continue
        ruled = [p for p in rules.check(spec) if not _touches(p.path, broken)]
        return None if broken else spec, [*found, *located(ruled, origins)]
    return None, found


def _touches(path: Path, broken: Iterable[Path]) -> bool:
    return any(path[: len(b)] == b or b[: len(path)] == path for b in broken)


def _without(data: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """The data less what the paths name; of a list the whole list goes, for its indices to stay true."""
    for path in dict.fromkeys(_removable(path) for path in paths):
        data = _drop(data, path)
    return data


def _removable(path: Path) -> Path:
    return path[: next((n for n, part in enumerate(path) if isinstance(part, int)), len(path))]


def _drop(data: dict[str, Any], path: Path) -> dict[str, Any]:
    if not path:
        return {}
    head, rest = path[0], path[1:]
    if head not in data or not isinstance(head, str):
        return data
    inner = data[head]
    if rest and isinstance(inner, dict) and rest[0] in inner:
        return {**data, head: _drop(inner, rest)}
    return {key: value for key, value in data.items() if key != head}


def _problem(detail: ErrorDetails, origins: Mapping[Path, Origin]) -> Problem:
    path: Path = tuple(detail["loc"])
    origin = nearest(path, origins)
    exact = origins.get(path)
    shown = show(exact.raw if exact is not None and exact.raw is not None else detail["input"])
    message, fix = _words(detail, shown, path)
    return Problem(path, message, fix, origin)


def show(value: object) -> str:
    """A value in backticks, and short."""
    text = printable(value if isinstance(value, str) else _kind(value))
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (dict, "{…}"),
        (tuple, "[…]"),
        (list, "[…]"),
        (type(None), "null"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), str(value))


def _reads_as(value: object) -> str:
    """What a value is, for people who wrote something else."""
    if isinstance(value, bool):
        return str(value).lower()
    kinds: tuple[tuple[type, str], ...] = (
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (dict, "a mapping"),
        (tuple, "a list"),
        (list, "a list"),
        (type(None), "nothing"),
    )
    found = next((name for kind, name in kinds if isinstance(value, kind)), None)
    return found or str(getattr(value, "kind", "something else"))


def _words(detail: ErrorDetails, shown: str, path: Path) -> tuple[str, str | None]:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = fields(path[:-1])
        return "unknown field", meant(str(path[-1]), known) or f"known: {', '.join(known)}"
    if kind == "missing":
        return "is missing", None
    if kind in _WANTED:
        return _wrong_type(kind, value, shown)
    if value is None:
        return "must have a value, and is empty", "give a value, or remove the line"
    if kind in _BOUNDS:
        limit = context.get("ge", context.get("le"))
        return f"must be {_BOUNDS[kind]} {limit}, and is {shown}", None
    if kind == "literal_error":
        expected = str(context.get("expected", "")).replace("'", "`")
        options = [word.strip("` ") for word in expected.replace(" or ", ",").split(",")]
        return f"{shown} is not one of {expected}", meant(str(value), options)
    if kind == "string_pattern_mismatch":
        bare = str(value).lstrip("-").partition("=")[0].lower()
        fix = f"write it without dashes and value: `{bare}`" if bare.replace("-", "").isalnum() else None
        return f"{shown} is not a flag's name", fix
    return f"{shown}: {detail['msg'][:1].lower()}{detail['msg'][1:]}", None


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


_BOUNDS = {"greater_than_equal": "at least", "less_than_equal": "at most"}


def _wrong_type(kind: str, value: object, shown: str) -> tuple[str, str | None]:
    wanted = _WANTED[kind]
    if value is None:
        return f"must be {wanted}, and is empty", "give a value, or remove the line"
    message = f"must be {wanted}, and {shown} is {_reads_as(value)} in YAML"
    if isinstance(value, float) and wanted == "a whole number":
        return f"must be a whole number, and {shown} is not one", None
    if wanted == "text" and not isinstance(value, dict | tuple):
        return message, f'quote it: "{shown.strip("`")}"'
    if wanted == "a list" and isinstance(value, str):
        return message, f"write `- {shown.strip('`')}` in a line of its own"
    if isinstance(value, str) and wanted in ("a whole number", "true or false"):
        return message, "remove the quotes" if value.isdigit() or value in ("true", "false") else None
    return message, None


def fields(path: Path) -> list[str]:
    """The names that may stand at a path of the description; none where anything may."""
    model: object = ClusterSpec
    for part in path:
        model = _inside(model, part)
    if isinstance(model, type) and issubclass(model, Model):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _inside(model: object, part: str | int) -> object:
    if isinstance(model, type) and issubclass(model, Model):
        by_alias = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        return _plain(by_alias.get(str(part)))
    if isinstance(part, int) and typing.get_origin(model) is tuple:
        return _plain(typing.get_args(model)[0])
    return None


def _plain(annotation: object) -> object:
    """The annotation less its `| None`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next((a for a in typing.get_args(annotation) if a is not type(None)), None)
    return annotation
