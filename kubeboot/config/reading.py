"""The documents of a configuration, from files and standard input: each by its apiVersion and kind."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import BinaryIO

from kubeboot import inputs
from kubeboot.config import document, kubeadm, layers
from kubeboot.config.describe import KIND
from kubeboot.config.document import Document
from kubeboot.config.layers import Layer
from kubeboot.config.problems import Origin, Problem, meant
from kubeboot.config.run import RunSettings
from kubeboot.config.spec import API_VERSION
from kubeboot.config.validate import show

_SUFFIXES = (".yaml", ".yml", ".json")
_HEAD = f"put `apiVersion: {API_VERSION}` and `kind: {KIND}` at the top"


@dataclasses.dataclass(frozen=True)
class Read:
    """What some files say together."""

    layer: Layer = dataclasses.field(default_factory=Layer)
    run: RunSettings = dataclasses.field(default_factory=RunSettings)
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    sources: tuple[str, ...] = ()


def files(sources: Iterable[str], stdin: BinaryIO | None, unwanted: frozenset[str]) -> Read:
    """All of them, the later over the earlier; documents of `unwanted` kinds are warned of. Never raises."""
    total = Read()
    for source in sources:
        for name, text, problem in _open(source, stdin):
            part = Read(problems=(problem,)) if problem else _text(name, text, unwanted)
            total = _join(total, dataclasses.replace(part, sources=(name,)))
    return total


def _join(first: Read, second: Read) -> Read:
    return Read(
        layers.over(first.layer, second.layer),
        second.run.over(first.run),
        first.warnings + second.warnings,
        first.problems + second.problems,
        first.sources + second.sources,
    )


def _open(source: str, stdin: BinaryIO | None) -> list[tuple[str, bytes, Problem | None]]:
    """The texts behind one --config: a file's, a directory's files' in order, or standard input's."""
    try:
        if source == "-":
            return [("<stdin>", stdin.read(document.MAX_BYTES + 1) if stdin is not None else b"", None)]
        if not source:
            raise ValueError(source)
        path = pathlib.Path(source)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and not p.name.startswith("."))
            if not found:
                return [_unreadable(source, f"no {', '.join(_SUFFIXES)} file in this directory")]
            return [text for p in found for text in _open(str(p), None)]
        return [(source, inputs.read(source, document.MAX_BYTES + 1), None)]
    except OSError as error:
        return [_unreadable(source, f"cannot be read: {(error.strerror or str(error)).lower()}")]
    except ValueError:
        return [_unreadable(source, "is not a file's name")]


def _unreadable(source: str, message: str) -> tuple[str, bytes, Problem]:
    return source, b"", Problem((), message, None, Origin(source))


def _text(source: str, text: bytes, unwanted: frozenset[str]) -> Read:
    documents, problems = document.parse(text, source)
    if not documents and not problems:
        problems = [Problem((), "is empty", _HEAD, Origin(source))]
    parts = [_document(d, unwanted) for d in documents]
    return functools.reduce(_join, parts, Read(problems=tuple(problems)))


def _document(doc: Document, unwanted: frozenset[str]) -> Read:
    """One document by its apiVersion and kind."""
    if not isinstance(doc.data, dict):
        return Read(problems=(*doc.problems, _at(doc, "must be a mapping of fields", _HEAD)))
    version, kind = doc.data.get("apiVersion"), doc.data.get("kind")
    if (version, kind) == (API_VERSION, KIND):
        data = {key: value for key, value in doc.data.items() if key not in ("apiVersion", "kind")}
        return Read(Layer(data, doc.origins), problems=doc.problems)
    if isinstance(version, str) and isinstance(kind, str) and (version, kind) in kubeadm.KINDS:
        if kind in unwanted:
            return Read(warnings=(f"{_origin(doc)}: {kind} has no effect on this command",))
        found = kubeadm.translate(doc, kind)
        return Read(found.layer, found.run, found.warnings, (*doc.problems, *found.problems))
    return Read(problems=(*doc.problems, *_unknown(doc, version, kind)))


def _unknown(doc: Document, version: object, kind: object) -> list[Problem]:
    problems = []
    for field, value in (("apiVersion", version), ("kind", kind)):
        if value is None:
            problems.append(Problem((field,), "is missing", _HEAD, doc.origins.get((field,), _origin(doc))))
    if problems:
        return problems
    if isinstance(version, str) and version.startswith("kubeadm.k8s.io/") and version != kubeadm.API_VERSION:
        fix = f"`kubeadm config migrate` makes {kubeadm.API_VERSION} of it"
        return [
            Problem(("apiVersion",), f"`{version}` is not supported", fix, doc.origins.get(("apiVersion",)))
        ]
    field, value, known = _culprit(version, kind)
    fix = meant(str(value), known) or f"known: {', '.join(known)}"
    return [Problem((field,), f"{show(value)} is not known", fix, doc.origins.get((field,)))]


def _culprit(version: object, kind: object) -> tuple[str, object, list[str]]:
    """Which of apiVersion and kind is to blame, and what it could have been."""
    pairs = [(API_VERSION, KIND), *kubeadm.KINDS]
    kinds = [k for v, k in pairs if v == version]
    return (
        ("kind", kind, kinds) if kinds else ("apiVersion", version, list(dict.fromkeys(v for v, _ in pairs)))
    )


def _origin(doc: Document) -> Origin:
    return Origin(doc.source, doc.line)


def _at(doc: Document, message: str, fix: str | None) -> Problem:
    return Problem((), message, fix, _origin(doc))
