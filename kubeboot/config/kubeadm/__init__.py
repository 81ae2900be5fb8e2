"""kubeadm's own documents (v1beta4) as input: what means the same is taken, what has no meaning is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot.config.document import Document
from kubeboot.config.kubeadm import fields as kubeadm_fields
from kubeboot.config.kubeadm.fields import Action, Call, Enter, Move, Note, Refuse, Table
from kubeboot.config.kubeadm.work import Work
from kubeboot.config.layers import Layer
from kubeboot.config.problems import Path, Problem, dotted, meant
from kubeboot.config.run import RunSettings

API_VERSION = "kubeadm.k8s.io/v1beta4"
_KUBELET = "kubelet.config.k8s.io/v1beta1"
_PROXY = "kubeproxy.config.k8s.io/v1alpha1"

KINDS: Mapping[tuple[str, str], Table] = {
    (API_VERSION, "InitConfiguration"): kubeadm_fields.INIT,
    (API_VERSION, "ClusterConfiguration"): kubeadm_fields.CLUSTER,
    (API_VERSION, "JoinConfiguration"): kubeadm_fields.JOIN,
    (_KUBELET, "KubeletConfiguration"): kubeadm_fields.KUBELET,
    (_PROXY, "KubeProxyConfiguration"): kubeadm_fields.PROXY,
}


@dataclasses.dataclass(frozen=True)
class Translated:
    """What one document of kubeadm's says in kubeboot's words."""

    layer: Layer
    run: RunSettings
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]


def translate(doc: Document, kind: str) -> Translated:
    """The document in kubeboot's words. Nothing is dropped without a word."""
    work = Work(doc)
    walk = _Walk(work, kind, KINDS[(doc.data["apiVersion"], kind)])
    for field, value in doc.data.items():
        if field not in ("apiVersion", "kind"):
            walk.visit((field,), value)
    return Translated(work.layer, work.run, tuple(work.warnings), tuple(work.problems))


@dataclasses.dataclass(frozen=True)
class _Walk:
    """From field to field of a document of this kind, doing what its table says."""

    work: Work
    kind: str
    table: Table

    def visit(self, path: Path, value: object) -> None:
        """Do what the table says of a field, or go into it, or say that it is unknown."""
        field = dotted(path)
        action = self.table.get(field)
        if value is None or (value == "" and self.kind in kubeadm_fields.OPEN):
            return
        if action is not None:
            self._act(action, path, value)
        elif any(known.startswith(f"{field}.") for known in self.table):
            self._enter(path, value)
        elif self.kind in kubeadm_fields.OPEN:
            self.work.move(path, (kubeadm_fields.OPEN[self.kind], *path), _said(value))
        else:
            self.work.problem(path, "unknown field", self._siblings(path))

    def _enter(self, path: Path, value: object) -> None:
        if not isinstance(value, dict):
            self.work.problem(path, "must be a mapping of fields")
            return
        for name, inner in value.items():
            self.visit((*path, name), inner)

    def _siblings(self, path: Path) -> str | None:
        depth = len(path) - 1
        start = path[:depth]
        known = {
            parts[depth]
            for parts in (tuple(field.split(".")) for field in self.table)
            if len(parts) > depth and parts[:depth] == start
        }
        return meant(str(path[-1]), sorted(known))

    def _act(self, action: Action, path: Path, value: object) -> None:
        match action:
            case Move(to):
                self.work.move(path, to, value)
            case Note(why, same):
                if value not in same:
                    self.work.warn_unused(path, why)
            case Refuse(why, same):
                if value not in same:
                    self.work.problem(path, why)
            case Call(function):
                function(self.work, path, value)
            case Enter(function):
                function(self.work, path, value)
                self._enter(path, value)


def _said(value: object) -> object:
    """Less what is empty: in kubeadm's printed defaults that means that nothing was said."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner is not None and inner != ""}
    return tuple(_said(inner) for inner in value) if isinstance(value, tuple) else value
