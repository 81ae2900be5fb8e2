"""Configurations that a test has as text: loaded, or made of kubeadm's documents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import yaml

from kubeboot.config import kubeadm, loader
from kubeboot.config.layers import Setting


def load(text: str | bytes, flags: Sequence[Setting] = ()) -> loader.Loaded:
    """What the text is, read from standard input."""
    stdin = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return loader.load(loader.Sources(files=["-"], flags=flags, stdin=stdin))


def kubeadm_document(kind: str, **fields: Any) -> str:
    """One document of a kind of kubeadm's, or of what kubeadm takes beside its own."""
    version = {
        "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
        "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
    }.get(kind, kubeadm.API_VERSION)
    return yaml.safe_dump({"apiVersion": version, "kind": kind, **fields}, sort_keys=False)
