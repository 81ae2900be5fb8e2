"""The files that the API server reads besides its certificates, and the directory of what it audits."""

from __future__ import annotations

from kubeboot import render
from kubeboot.config import effective
from kubeboot.config.model import Fields
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.steps import basic
from kubeboot.steps.pod_manifest import PodReader
from kubeboot.steps.static_pod import MANIFESTS

READ = frozenset({"control-plane/audit-policy", "control-plane/admission-config"})
"""The steps that write what it reads at its start."""


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """The audit policy, the log's directory, the admission configuration: those that are asked for."""
    files = (
        ("audit-policy", "Write the audit policy", effective.AUDIT_POLICY, spec.audit.policy),
        ("admission-config", "Write the admission configuration", effective.ADMISSION_CONFIG,
         spec.admission.config),
    )  # fmt: skip
    written = tuple(_file(node, *row) for row in files if row[-1])
    directory = effective.audit_directory(spec)
    return (*written, *((_log(node, directory),) if directory else ()))


def _file(node: NodeSettings, name: str, title: str, path: str, data: Fields) -> Step:
    return basic.EnsureFile(
        id=f"control-plane/{name}",
        title=title,
        on=node.name,
        after=frozenset({"trees/"}),
        path=path,
        data=render.dump(data).encode(),
        mode=0o600,
        reader=PodReader(f"{MANIFESTS}/kube-apiserver.yaml"),
    )


def _log(node: NodeSettings, directory: str) -> Step:
    return basic.EnsureDir(
        id="control-plane/audit-log",
        title="Make the directory of the audit log",
        on=node.name,
        after=frozenset({"trees/"}),
        path=directory,
        mode=0o700,
        tree=True,
    )
