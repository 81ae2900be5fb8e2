"""Which source a description of a cluster asks for."""

from __future__ import annotations

from pathlib import Path

from kubeboot import errors
from kubeboot.artifacts.api import Source
from kubeboot.artifacts.bundle import Bundle
from kubeboot.config.spec import Artifacts


def source(wanted: Artifacts) -> Source:
    """The bundle that is named. ConfigInvalid (KB_ARTIFACT) when none is, or it is not there."""
    if wanted.bundle is None:
        raise errors.ConfigInvalid(
            "where do binaries and images come from? no bundle is named",
            hint="name one with --bundle FILE, or as artifacts.bundle in /etc/kubeboot/cluster.yaml",
            reason="KB_ARTIFACT",
        )
    path = Path(wanted.bundle)
    if not path.is_file():
        raise errors.ConfigInvalid(
            f"there is no bundle {path}", hint="copy it to this machine, or name another with --bundle",
            reason="KB_ARTIFACT",
        )  # fmt: skip
    return Bundle(path)
