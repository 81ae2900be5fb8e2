"""From files, flags and the environment to one ClusterSpec: everything that is wrong comes out at once."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from kubeboot.config import layers, named_files, reading, rules, versions
from kubeboot.config.layers import Setting
from kubeboot.config.problems import InvalidConfig, Origin, Path, Problem, located
from kubeboot.config.purpose import LOOK, Purpose
from kubeboot.config.run import RunSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.config.validate import validate

DEFAULT_FILE = pathlib.Path("/etc/kubeboot/cluster.yaml")


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where a configuration comes from, the weakest first; what none of them says has its default.

    `default` need not exist. Of the `files` the later win; `-` is `stdin`, and a directory is its files.
    """

    default: pathlib.Path | None = None
    environment: Sequence[Setting] = ()
    files: Sequence[str] = ()
    flags: Sequence[Setting] = ()
    stdin: BinaryIO | None = None


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The spec, what else the files said about this run, what to warn of, and which files were read."""

    spec: ClusterSpec
    run: RunSettings = dataclasses.field(default_factory=RunSettings)
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def load(sources: Sources, purpose: Purpose = LOOK) -> Loaded:
    """Load, merge and validate; InvalidConfig names every problem."""
    default = [str(sources.default)] if sources.default is not None and sources.default.exists() else []
    base = reading.files(default, None, purpose.unwanted)
    given = reading.files(sources.files, sources.stdin, purpose.unwanted)
    environment, flags = layers.of_settings(sources.environment), layers.of_settings(sources.flags)
    merged = functools.reduce(layers.over, (base.layer, environment, given.layer, flags))
    spec, wrong = validate(_canonical(merged.data), merged.origins)
    joins = purpose.joins or given.run.endpoint is not None
    problems = [*base.problems, *given.problems, *_own(wrong, joins, merged.origins)]
    if problems or spec is None:
        raise InvalidConfig(problems)
    notes: list[str] = []
    if purpose.read_files:
        spec, notes = _whole(spec, joins, merged.origins)
    warnings = (*base.warnings, *given.warnings, *notes)
    return Loaded(spec, given.run.over(base.run), warnings, (*base.sources, *given.sources))


def _whole(spec: ClusterSpec, joins: bool, origins: Mapping[Path, Origin]) -> tuple[ClusterSpec, list[str]]:
    """With the contents of the files that it names, and what to warn of; InvalidConfig as of `load`."""
    whole, unread, notes = named_files.read(spec)
    ruled = rules.check(whole) if not unread else []
    found = located([*unread, *map(named_files.moved, ruled)], origins)
    if problems := _own(found, joins, origins):
        raise InvalidConfig(problems)
    return whole, notes


def _own(problems: Iterable[Problem], joins: bool, origins: Mapping[Path, Origin]) -> list[Problem]:
    """Less those with the default ranges: those of the cluster that is joined are not known here."""
    return [p for p in problems if not (joins and _is_about_defaults(p, origins))]


def _is_about_defaults(problem: Problem, origins: Mapping[Path, Origin]) -> bool:
    ranges = [path for path in problem.or_at if path[0] == "networking"]
    return bool(ranges) and not any(path in origins for path in ranges)


def _canonical(data: Any) -> dict[str, Any]:  # noqa: ANN401 - not validated yet
    version = data.get("kubernetesVersion")
    return (
        {**data, "kubernetesVersion": versions.canonical(version)} if isinstance(version, str) else dict(data)
    )
