"""What the commands about artifacts share: options, progress, tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import params, runtime, screens

if TYPE_CHECKING:
    from kubeboot.artifacts.api import Catalog
    from kubeboot.artifacts.download import Watch

ARCHITECTURES = ("amd64", "arm64")

version_option = click.option(
    "--kubernetes-version", metavar="VERSION", help="which Kubernetes; default v1.37.1"
)
arch_option = click.option(
    "--arch", type=click.Choice(ARCHITECTURES), help="for which machines; default: this one's architecture"
)
archs_option = click.option(
    "--arch",
    type=click.Choice(ARCHITECTURES),
    multiple=True,
    help="for which machines; repeatable; default: this one's architecture",
)
lock_option = click.option(
    "--lock", metavar="FILE", help="your own lock; default /etc/kubeboot/lock.yaml, or in ~/.config/kubeboot"
)
locked_option = click.option("--locked", is_flag=True, help="trust nothing that no lock has")
cache_option = click.option(
    "--cache-dir", metavar="DIR", help="where downloads are kept; default /var/cache/kubeboot, or in ~/.cache"
)
repository_option = click.option(
    "--image-repository", metavar="PREFIX", help="where images come from; default registry.k8s.io"
)


def download_options(command: params.F) -> params.F:
    """What every command that may download takes."""
    for option in (
        params.config_option,
        cache_option,
        locked_option,
        lock_option,
        repository_option,
        version_option,
    ):
        command = option(command)
    return command


def watch(now: runtime.Runtime, done: str = "downloaded") -> Watch:
    """Tell a person what is found out, and now and then how far the downloads are."""
    from kubeboot.artifacts import progress

    return progress.spoken(now.say, done)


def arch(given: str | None) -> str:
    """The architecture that is meant."""
    from kubeboot.artifacts import verbs

    return given or verbs.this_arch()


def archs(given: tuple[str, ...]) -> tuple[str, ...]:
    """The architectures that are meant, each once."""
    return tuple(dict.fromkeys(given)) or (arch(None),)


def table(catalog: Catalog, places: Mapping[str, str]) -> str:
    """A catalog for people."""
    rows = [
        (each.name, each.version, _sum(each.sha256), places.get(each.name, "")) for each in catalog.binaries
    ]
    rows += [
        (each.component, each.name.rpartition(":")[2], _sum(each.digest), each.name)
        for each in catalog.images
    ]
    return screens.table(("NAME", "VERSION", "SHA256", "FROM"), rows)


def _sum(text: str) -> str:
    return text.removeprefix("sha256:")[:16] or "not known yet"


def data(catalog: Catalog, places: Mapping[str, str]) -> dict[str, Any]:
    """A catalog for machines; what is not known is null."""
    binaries = [
        {
            "name": each.name,
            "version": each.version,
            "sha256": each.sha256 or None,
            "size": each.size or None,
            "path": each.path,
            "from": places.get(each.name),
        }
        for each in catalog.binaries
    ]
    images = [
        {
            "component": each.component,
            "name": each.name,
            "digest": each.digest or None,
            "size": each.size or None,
        }
        for each in catalog.images
    ]
    return {
        "kubernetesVersion": catalog.kubernetes_version,
        "arch": catalog.arch,
        "binaries": binaries,
        "images": images,
    }
