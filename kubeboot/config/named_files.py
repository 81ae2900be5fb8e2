"""The files that a description names, read in: afterwards it says everything itself, on any machine."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

from kubeboot import inputs
from kubeboot.config import document
from kubeboot.config.model import listed
from kubeboot.config.problems import Path, Problem
from kubeboot.config.rules.extras import patch_text
from kubeboot.config.spec import ClusterSpec, Patch

TARGETS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubeletconfiguration",
    "corednsdeployment",
)  # fmt: skip
TYPES = ("strategic", "merge", "json")
_SUFFIXES = (".yaml", ".json")


@dataclasses.dataclass
class _Found:
    problems: list[Problem] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)


def read(spec: ClusterSpec) -> tuple[ClusterSpec, list[Problem], list[str]]:
    """The spec with the contents of its files, what is wrong with them, and what to warn of."""
    found = _Found()
    audit, admission, patches = spec.audit, spec.admission, spec.patches
    if audit.policy_file is not None:
        policy = _mapping(("audit", "policyFile"), audit.policy_file, found)
        audit = audit.model_copy(update={"policy": policy, "policy_file": None})
    if admission.config_file is not None:
        config = _mapping(("admission", "configFile"), admission.config_file, found)
        admission = admission.model_copy(update={"config": config, "config_file": None})
    if patches.directory is not None:
        inline = (*_directory(patches.directory, found), *patches.inline)
        patches = patches.model_copy(update={"inline": inline, "directory": None})
    changed = {"audit": audit, "admission": admission, "patches": patches}
    return spec.model_copy(update=changed), found.problems, found.warnings


def named(spec: ClusterSpec) -> dict[str, str]:
    """What `read` would read on this machine, by the field that names it."""
    fields = {
        "audit.policyFile": spec.audit.policy_file,
        "admission.configFile": spec.admission.config_file,
        "patches.directory": spec.patches.directory,
    }
    return {field: path for field, path in fields.items() if path is not None}


def moved(problem: Problem) -> Problem:
    """A problem of what was read, told of the field that names the file."""
    for inner, outer in ((("audit", "policy"), "policyFile"), (("admission", "config"), "configFile")):
        if problem.path[:2] == inner:
            rest = ".".join(map(str, problem.path[2:]))
            message = f"{rest}: {problem.message}" if rest else problem.message
            return dataclasses.replace(problem, path=(inner[0], outer), message=message)
    return problem


def _mapping(at: Path, path: str, found: _Found) -> dict[str, Any]:
    text = _text(at, pathlib.Path(path), found)
    if text is None:
        return {}
    documents, problems = document.parse(text, path)
    found.problems += [*problems, *(p for d in documents for p in d.problems)]
    if len(documents) == 1 and isinstance(documents[0].data, dict):
        return dict(listed(documents[0].data))
    if not problems:
        found.problems.append(Problem(at, f"{path} must hold one document, a mapping"))
    return {}


def _text(at: Path, path: pathlib.Path, found: _Found) -> bytes | None:
    try:
        return inputs.read(path, document.MAX_BYTES + 1)
    except OSError as error:
        found.problems.append(Problem(at, f"{path} cannot be read: {(error.strerror or str(error)).lower()}"))
    return None


def _directory(directory: str, found: _Found) -> Iterable[Patch]:
    at: Path = ("patches", "directory")
    try:
        paths = sorted(p for p in pathlib.Path(directory).iterdir() if not p.is_dir())
    except OSError as error:
        message = f"{directory} cannot be read: {(error.strerror or str(error)).lower()}"
        found.problems.append(Problem(at, message))
        return []
    return [patch for path in paths if (patch := _patch(at, path, found)) is not None]


def _patch(at: Path, path: pathlib.Path, found: _Found) -> Patch | None:
    """target[suffix][+type].yaml|json, as kubeadm names them."""
    stem, plus, kind = path.stem.partition("+")
    target = next((t for t in TARGETS if stem.startswith(t)), None)
    if path.suffix not in _SUFFIXES or target is None:
        found.warnings.append(f"{path} is not a patch: patches are named TARGET[SUFFIX][+TYPE].yaml")
        return None
    if plus and kind not in TYPES:
        message = f"{path.name}: `{kind}` is not one of {', '.join(TYPES)}"
        found.problems.append(Problem(at, message))
        return None
    text = _text(at, path, found)
    if text is None:
        return None
    shown = text.decode("utf-8", "replace")
    data = {"target": target, "type": kind or TYPES[0], "patch": shown}
    wrong = [
        dataclasses.replace(p, message=f"{path.name}: {p.message}")
        for p in patch_text(at, data["type"], shown)
    ]
    found.problems += wrong
    return Patch.model_validate(data)
