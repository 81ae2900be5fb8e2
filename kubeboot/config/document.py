"""YAML text to plain data that remembers the line of every value; everything odd in it is a Problem.

The data holds dicts, tuples, str, int, float, bool and None. Tuples, because the models are strict and
frozen. What YAML 1.1 would turn into a date or into bytes is kept as Misread, which no field accepts.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import yaml

from kubeboot import render
from kubeboot.config.problems import Origin, Path, Problem

MAX_BYTES, MAX_NODES = render.MAX_BYTES, render.MAX_NODES

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "int", "float", "bool", "null")
_MEANT_OTHERWISE = re.compile(r"[-+]?(0[0-7_]+|[0-9_]+:[0-9:_]+)")
"""06443 is octal in YAML 1.1, and 1:30 is ninety."""


@dataclasses.dataclass(frozen=True)
class Misread:
    """A scalar that YAML takes for something that no field holds."""

    kind: str


BROKEN = Misread("broken")
"""Stands where a value could not be read, which a Problem says already."""


@dataclasses.dataclass(frozen=True)
class Document:
    """One YAML document: its data and where each of its values stands."""

    source: str
    line: int
    data: Any
    origins: dict[Path, Origin]
    problems: tuple[Problem, ...] = ()


def parse(text: bytes, source: str) -> tuple[list[Document], list[Problem]]:
    """Every document in a text that is not empty, and what kept the text itself from being read."""
    try:
        render.measure(text)
        loader = yaml.CSafeLoader(text)
        documents = []
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                documents.append(_Reader(loader, source).read(node))
    except _Aliases as refusal:
        return [], [Problem((), str(refusal), "use fewer aliases", Origin(source))]
    except render.TooMuch as refusal:
        return [], [Problem((), str(refusal), None, Origin(source, refusal.line))]
    except yaml.YAMLError as error:
        return [], [_syntax(error, source)]
    return [d for d in documents if d.data is not None or d.problems], []


class _Aliases(Exception):
    """Aliases that multiply."""


def _syntax(error: yaml.YAMLError, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    fix = "indent with spaces" if "\\t" in what or "tab" in what else None
    return Problem((), f"not YAML: {what}", fix, Origin(source, mark.line + 1 if mark else 0))


class _Reader:
    """Reads one document; aliases are followed, so the number of values is counted again."""

    def __init__(self, loader: yaml.CSafeLoader, source: str) -> None:
        self._loader = loader
        self._source = source
        self._origins: dict[Path, Origin] = {}
        self._problems: list[Problem] = []
        self._inside: list[int] = []
        self._count = 0

    def read(self, node: yaml.Node) -> Document:
        data = self._value(node, ())
        line = node.start_mark.line + 1
        return Document(self._source, line, data, self._origins, tuple(self._problems))

    def _origin(self, node: yaml.Node) -> Origin:
        raw = node.value if isinstance(node, yaml.ScalarNode) and not node.style else None
        return Origin(self._source, node.start_mark.line + 1, raw)

    def _value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - YAML is untyped
        self._count += 1
        if self._count > MAX_NODES:
            raise _Aliases(f"more than {MAX_NODES} values")
        self._origins[path] = self._origin(node)
        if id(node) in self._inside:
            self._problem(node, path, "an alias that contains itself")
            return BROKEN
        self._inside.append(id(node))
        try:
            return self._of_kind(node, path)
        finally:
            self._inside.pop()

    def _of_kind(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401
        match node:
            case yaml.MappingNode() if node.tag == f"{_TAG}map":
                return self._mapping(node, path)
            case yaml.SequenceNode() if node.tag == f"{_TAG}seq":
                return tuple(self._value(item, (*path, n)) for n, item in enumerate(node.value))
            case yaml.ScalarNode():
                return self._scalar(node, path)
        return self._unknown_tag(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = self._key(key, path)
            if name is None:
                continue
            line = key.start_mark.line + 1
            if name in found:
                self._problem(
                    key, (*path, name), f"given twice, first in line {lines[name]}", "keep one of them"
                )
                continue
            lines[name] = line
            found[name] = self._value(value, (*path, name))
            self._origins[(*path, name)] = dataclasses.replace(self._origins[(*path, name)], line=line)
        return found

    def _key(self, key: yaml.Node, path: Path) -> str | None:
        if not isinstance(key, yaml.ScalarNode):
            self._problem(key, path, "a key that is a list or a mapping")
        elif key.tag == f"{_TAG}merge":
            self._problem(key, path, "merge keys (`<<`) are not supported", "write out the fields")
        elif key.tag != f"{_TAG}str":
            word = "nothing" if key.value == "" else f"`{key.value}`"
            self._problem(key, path, f"the key {word} is not text in YAML", f'quote it: "{key.value}"')
        else:
            return str(key.value)
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:  # noqa: ANN401
        kind = node.tag.removeprefix(_TAG)
        if kind == "int" and _MEANT_OTHERWISE.fullmatch(node.value):
            return Misread("a number to the base of 60" if ":" in node.value else "an octal number")
        if kind in _SCALARS:
            try:
                return self._loader.construct_object(node)
            except Exception:  # PyYAML's constructors let any ValueError of Python's through
                self._problem(
                    node, path, f"`{node.value[:40]}` is not a valid {kind}", "quote it if it is text"
                )
                return BROKEN
        if kind == "value":
            return str(node.value)
        if kind in ("timestamp", "binary"):
            return Misread("a date" if kind == "timestamp" else kind)
        return self._unknown_tag(node, path)

    def _unknown_tag(self, node: yaml.Node, path: Path) -> Misread:
        self._problem(node, path, f"the tag `{node.tag.replace(_TAG, '!!')}` is not supported", "remove it")
        return BROKEN

    def _problem(self, node: yaml.Node, path: Path, message: str, fix: str | None = None) -> None:
        self._problems.append(Problem(path, message, fix, self._origin(node)))
