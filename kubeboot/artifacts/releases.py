"""What a Kubernetes version is made of on one architecture, by the lock in the package."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

from kubeboot import render
from kubeboot.artifacts import known
from kubeboot.artifacts.trouble import refused
from kubeboot.config import versions

ARCHITECTURES = ("amd64", "arm64")
UPSTREAM_REPOSITORY = "registry.k8s.io"


@dataclasses.dataclass(frozen=True)
class Executable:
    """One binary: a file of its own (`url`), or a `member` of an archive at `url` or of an `image`."""

    name: str
    version: str
    path: str
    url: str = ""
    sums: str = ""
    image: str = ""
    member: str = ""


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image: what it is for, and its name."""

    component: str
    name: str


@dataclasses.dataclass(frozen=True)
class Release:
    """Everything for one version and architecture."""

    kubernetes_version: str
    arch: str
    executables: tuple[Executable, ...]
    pictures: tuple[Picture, ...]

    def urls(self) -> tuple[str, ...]:
        """Every file once."""
        return tuple(dict.fromkeys(each.url for each in self.executables if each.url))

    def names(self) -> tuple[str, ...]:
        """Every image once, those that only an executable is taken from included."""
        taken = (each.image for each in self.executables if each.image)
        return tuple(dict.fromkeys((*(each.name for each in self.pictures), *taken)))

    def members(self, url_or_image: str) -> tuple[str, ...]:
        """What is taken out of an archive or an image."""
        return tuple(
            each.member for each in self.executables if each.member and url_or_image in (each.url, each.image)
        )


@functools.cache
def _table() -> Mapping[str, Any]:
    data: Mapping[str, Any] = render.load(resources.files(__package__).joinpath("lock.yaml").read_bytes())
    return data


def shipped() -> known.Known:
    """The sums and digests that the package itself knows."""
    return known.parse(_table()["known"])


def release(
    version: str, arch: str, repository: str = UPSTREAM_REPOSITORY, also: frozenset[str] = frozenset()
) -> Release:
    """By Kubernetes version (any patch of a known minor). `repository` takes registry.k8s.io's place.

    `also`: components that only some clusters have.
    """
    numbers = _versions(version)
    if arch not in ARCHITECTURES:
        raise refused(
            f"there is nothing for machines of {arch}", f"supported are {' and '.join(ARCHITECTURES)}"
        )
    table = _table()
    executables = tuple(_executable(name, about, numbers, arch) for name, about in table["binaries"].items())
    pictures = tuple(
        Picture(component, _moved(_fill(about["name"], numbers[about["project"]]), repository))
        for component, about in table["images"].items()
        if component in also or not about.get("optional")
    )
    return Release(numbers["kubernetes"], arch, executables, pictures)


def _versions(version: str) -> Mapping[str, str]:
    asked = versions.parse(version)
    found: Mapping[str, str] | None = (
        _table()["releases"].get(f"{asked.major}.{asked.minor}") if asked is not None else None
    )
    if found is None:
        raise refused(
            f"Kubernetes {version} is not in this kubeboot's lock", f"it knows {versions.supported()}"
        )
    return {**found, "kubernetes": str(asked)}


def _executable(name: str, about: Mapping[str, str], numbers: Mapping[str, str], arch: str) -> Executable:
    version, project = numbers[about["project"]], _table()["projects"][about["project"]]
    url = _fill(project.get("url", ""), version, arch=arch, name=name)
    return Executable(
        name=name,
        version=version,
        path=about["path"],
        url=url,
        sums=_fill(project.get("sums", ""), version, arch=arch, url=url),
        image=_fill(project.get("image", ""), version),
        member=about.get("member", ""),
    )


def _fill(pattern: str, version: str, **words: str) -> str:
    return pattern.format(version=version, number=version.removeprefix("v"), **words)


def _moved(name: str, repository: str) -> str:
    """An image of registry.k8s.io under another repository's name, with kubeadm's rule for CoreDNS."""
    if repository == UPSTREAM_REPOSITORY or not name.startswith(f"{UPSTREAM_REPOSITORY}/"):
        return name
    rest = name.removeprefix(f"{UPSTREAM_REPOSITORY}/").removeprefix("coredns/")
    return f"{repository}/{rest}"
