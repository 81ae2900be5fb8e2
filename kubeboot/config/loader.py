"""From files, flags and the environment to one ClusterSpec: everything that is wrong comes out at once.

Precedence, highest first: flags, --config files (later ones over earlier ones), KUBEBOOT_* variables,
/etc/kubeboot/cluster.yaml, defaults.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from kubeboot import inputs
from kubeboot.config import document, kubeadm, layers, named_files, rules, versions
from kubeboot.config.describe import KIND
from kubeboot.config.document import Document
from kubeboot.config.layers import Layer, Setting
from kubeboot.config.problems import InvalidConfig, Origin, Path, Problem, located, meant
from kubeboot.config.run import RunSettings
from kubeboot.config.spec import API_VERSION, ClusterSpec
from kubeboot.config.validate import show, validate

DEFAULT_FILE = pathlib.Path("/etc/kubeboot/cluster.yaml")
_SUFFIXES = (".yaml", ".yml", ".json")
_HEAD = f"put `apiVersion: {API_VERSION}` and `kind: {KIND}` at the top"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The spec, what else the files said about this run, what to warn of, and which files were read."""

    spec: ClusterSpec
    run: RunSettings = dataclasses.field(default_factory=RunSettings)
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Read:
    """What some files say together."""

    layer: Layer = dataclasses.field(default_factory=Layer)
    run: RunSettings = dataclasses.field(default_factory=RunSettings)
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    sources: tuple[str, ...] = ()


def load(
    sources: Sequence[str] = (),
    *,
    flags: Sequence[Setting] = (),
    environment: Sequence[Setting] = (),
    default: pathlib.Path | None = None,
    stdin: BinaryIO | None = None,
    unwanted: frozenset[str] = frozenset(),
    read_files: bool = True,
    joining: bool = False,
) -> Loaded:
    """Load, merge and validate; InvalidConfig names every problem. `default` need not exist.

    `unwanted` are kinds of kubeadm's that are for other commands than the present one: warned of, not read.
    `read_files`: the files that the description names are read into it. `joining`: the cluster is another's.
    """
    base = _files([str(default)], None, unwanted) if default is not None and default.exists() else _Read()
    given = _files(sources, stdin, unwanted)
    stack = (base.layer, layers.of_settings(environment), given.layer, layers.of_settings(flags))
    merged = functools.reduce(layers.over, stack)
    spec, problems = validate(_canonical(merged.data), merged.origins)
    joining = joining or given.run.endpoint is not None
    problems = [*base.problems, *given.problems, *_own(problems, joining, merged.origins)]
    warnings = [*base.warnings, *given.warnings]
    if spec is not None and read_files and not problems:
        spec, more, notes = named_files.read(spec)
        ruled = rules.check(spec) if not more else []
        found = located([*more, *map(named_files.moved, ruled)], merged.origins)
        problems, warnings = _own(found, joining, merged.origins), [*warnings, *notes]
    if problems or spec is None:
        raise InvalidConfig(problems)
    return Loaded(spec, given.run.over(base.run), tuple(warnings), (*base.sources, *given.sources))


def _own(problems: Iterable[Problem], joining: bool, origins: Mapping[Path, Origin]) -> list[Problem]:
    """Less those with the default ranges: those of the cluster that is joined are not known here."""
    return [p for p in problems if not (joining and _is_about_defaults(p, origins))]


def _is_about_defaults(problem: Problem, origins: Mapping[Path, Origin]) -> bool:
    ranges = [path for path in problem.or_at if path[0] == "networking"]
    return bool(ranges) and not any(path in origins for path in ranges)


def _canonical(data: Any) -> dict[str, Any]:  # noqa: ANN401 - not validated yet
    version = data.get("kubernetesVersion")
    return (
        {**data, "kubernetesVersion": versions.canonical(version)} if isinstance(version, str) else dict(data)
    )


def _files(sources: Sequence[str], stdin: BinaryIO | None, unwanted: frozenset[str]) -> _Read:
    total = _Read()
    for source in sources:
        for name, text, problem in _open(source, stdin):
            part = _Read(problems=(problem,)) if problem else _text(name, text, unwanted)
            total = _join(total, dataclasses.replace(part, sources=(name,)))
    return total


def _join(first: _Read, second: _Read) -> _Read:
    return _Read(
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


def _text(source: str, text: bytes, unwanted: frozenset[str]) -> _Read:
    documents, problems = document.parse(text, source)
    if not documents and not problems:
        problems = [Problem((), "is empty", _HEAD, Origin(source))]
    parts = [_document(d, unwanted) for d in documents]
    return functools.reduce(_join, parts, _Read(problems=tuple(problems)))


def _document(doc: Document, unwanted: frozenset[str]) -> _Read:
    """One document by its apiVersion and kind."""
    if not isinstance(doc.data, dict):
        return _Read(problems=(*doc.problems, _at(doc, "must be a mapping of fields", _HEAD)))
    version, kind = doc.data.get("apiVersion"), doc.data.get("kind")
    if (version, kind) == (API_VERSION, KIND):
        data = {key: value for key, value in doc.data.items() if key not in ("apiVersion", "kind")}
        return _Read(Layer(data, doc.origins), problems=doc.problems)
    if isinstance(version, str) and isinstance(kind, str) and (version, kind) in kubeadm.KINDS:
        if kind in unwanted:
            return _Read(warnings=(f"{_origin(doc)}: {kind} has no effect on this command",))
        found = kubeadm.translate(doc, kind)
        return _Read(found.layer, found.run, found.warnings, (*doc.problems, *found.problems))
    return _Read(problems=(*doc.problems, *_unknown(doc, version, kind)))


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
