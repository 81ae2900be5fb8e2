"""Which Kubernetes versions are supported, what goes with each, and how far apart components may be."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Release:
    """A minor's newest patch, and the etcd that kubeadm of that minor pairs with it."""

    version: str
    etcd: str


RELEASES: Mapping[int, Release] = {
    36: Release("v1.36.4", etcd="3.6"),
    37: Release("v1.37.1", etcd="3.7"),
}
"""By minor."""

OLDEST, NEWEST = min(RELEASES), max(RELEASES)
KUBELET_BEHIND = 3
CONTROL_PLANE_BEHIND = 1
CONTAINERD = (2, 0)
"""The oldest containerd that a new node may have."""

_VERSION = re.compile(r"^v?([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,4}))?\Z")


@dataclasses.dataclass(frozen=True, order=True)
class Version:
    """A released version: no pre-releases."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def parse(text: str) -> Version | None:
    """`v1.37.1` or `1.37.1`; a bare minor means its newest patch. None for anything else."""
    found = _VERSION.match(text)
    if found is None:
        return None
    major, minor = int(found[1]), int(found[2])
    if found[3] is not None:
        return Version(major, minor, int(found[3]))
    newest = RELEASES.get(minor) if major == 1 else None
    return parse(newest.version) if newest else Version(major, minor, 0)


def canonical(text: str) -> str:
    """The version as Kubernetes writes it; text that is no version stays as it is, for the rules to name."""
    found = parse(text)
    return str(found) if found else text


def is_supported(version: Version) -> bool:
    """True for a patch of a minor that this kubeboot knows how to build."""
    return version.major == 1 and version.minor in RELEASES


def supported() -> str:
    """For messages: `v1.36.x and v1.37.x`."""
    return " and ".join(f"v1.{minor}.x" for minor in sorted(RELEASES))


def kubelet_skew(apiserver: Version, kubelet: Version) -> str | None:
    """What is wrong with this kubelet under this apiserver; None when nothing is."""
    if (kubelet.major, kubelet.minor) > (apiserver.major, apiserver.minor):
        return f"kubelet {kubelet} is newer than the API server, {apiserver}"
    if apiserver.minor - kubelet.minor > KUBELET_BEHIND:
        return f"kubelet {kubelet} is more than {KUBELET_BEHIND} minor versions behind API server {apiserver}"
    return None


def control_plane_skew(newest: Version, other: Version) -> str | None:
    """What is wrong with two API servers (or a controller-manager) of these versions side by side."""
    if other > newest:
        return control_plane_skew(other, newest)
    if newest.minor - other.minor > CONTROL_PLANE_BEHIND:
        return f"{other} is more than {CONTROL_PLANE_BEHIND} minor version behind {newest}"
    return None
