"""Configurations that a test has as text: loaded, or made of kubeadm's documents."""

from __future__ import annotations

import io
from typing import Any

import yaml

from kubeboot.config import kubeadm, loader


def load(text: str | bytes, **more: Any) -> loader.Loaded:
    """What the text is, read from standard input."""
    return loader.load(["-"], stdin=io.BytesIO(text.encode() if isinstance(text, str) else text), **more)


def kubeadm_document(kind: str, **fields: Any) -> str:
    """One document of a kind of kubeadm's, or of what kubeadm takes beside its own."""
    version = {
        "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
        "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
    }.get(kind, kubeadm.API_VERSION)
    return yaml.safe_dump({"apiVersion": version, "kind": kind, **fields}, sort_keys=False)
