"""kubeboot bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kubeboot import errors
from kubeboot.cli import flags, params, supplies, work
from kubeboot.cli.command import Group


@click.group(
    cls=Group,
    help="create, check and push bundles for offline sites",
    examples=(
        "kubeboot bundle create",
        "kubeboot bundle verify kubeboot-v1.37.1-amd64.bundle",
        "kubeboot bundle push kubeboot-v1.37.1-amd64.bundle registry.example.org/k8s",
    ),
)
def bundle() -> None:
    """Everything is in the sub-commands."""


@bundle.command(
    help="download everything, check it, and pack it into one file",
    outputs=("text", "json"),
    examples=(
        "kubeboot bundle create",
        "kubeboot bundle create --kubernetes-version 1.36 --arch arm64 --to site.bundle",
        "kubeboot bundle create --from /media/usb/kubeboot",
    ),
)
@click.option("--to", metavar="FILE", help="default kubeboot-VERSION-ARCH.bundle, here")
@click.option("--from", "origin", metavar="DIR", help="a directory that `artifacts pull --to` filled")
@supplies.arch_option
@supplies.download_options
@click.pass_context
def create(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Its sum and name are on stdout, as `sha256sum` writes them."""
    from kubeboot.artifacts import verbs

    spec = flags.load(ctx, given["config"]).spec
    arch = supplies.arch(given["arch"])
    to = Path(given["to"] or f"kubeboot-{spec.kubernetes_version}-{arch}.bundle")
    origin = Path(given["origin"]) if given["origin"] is not None else None
    now = work.logged(ctx)
    sha256 = verbs.create(spec, arch, to, supplies.watch(now), origin)
    work.result(now, "Bundle", {"path": str(to), "sha256": sha256}, lambda: f"{sha256}  {to}")
    return 0


@bundle.command(
    help="read every byte of a bundle and check it",
    outputs=("text", "json"),
    examples=("kubeboot bundle verify site.bundle",),
)
@click.argument("file", metavar="FILE")
@click.pass_context
def verify(ctx: click.Context, file: str) -> int:
    """Exit code 4 when anything in it is not as it was written."""
    from kubeboot.artifacts import verbs

    now = work.logged(ctx)
    found = verbs.verify(Path(file))
    counts = f"{len(found.binaries)} binaries and {len(found.images)} images"
    text = f"{file}: whole; Kubernetes {found.kubernetes_version} for {found.arch}, {counts}"
    data = {"path": file, "valid": True, "kubernetesVersion": found.kubernetes_version, "arch": found.arch}
    work.result(now, "BundleCheck", data, lambda: text)
    return 0


@bundle.command(
    help="show what is in a bundle",
    outputs=("text", "json"),
    examples=("kubeboot bundle show site.bundle", "kubeboot bundle show site.bundle -o json"),
)
@click.argument("file", metavar="FILE")
@click.pass_context
def show(ctx: click.Context, file: str) -> int:
    """Its table of contents; only that is read and checked."""
    from kubeboot.artifacts import verbs

    now = work.logged(ctx)
    found = verbs.show(Path(file))
    now.say(f"Kubernetes {found.kubernetes_version} for {found.arch}")
    work.result(now, "BundleContents", supplies.data(found, {}), lambda: supplies.table(found, {}))
    return 0


@bundle.command(
    help="copy a bundle into a registry, which then serves as a mirror of upstream",
    outputs=("text", "json"),
    examples=(
        "kubeboot bundle push site.bundle registry.example.org/k8s",
        "kubeboot bundle push site.bundle http://10.0.0.5:5000/k8s",
    ),
)
@click.argument("file", metavar="FILE")
@click.argument("prefix", metavar="REGISTRY/PREFIX")
@params.config_option
@click.pass_context
def push(ctx: click.Context, file: str, prefix: str, config: tuple[str, ...]) -> int:
    """The full names are on stdout. Credentials are those of artifacts.credentialsFile."""
    from kubeboot.artifacts import push, verbs

    if wrong := push.prefix_problem(prefix):
        raise errors.UsageProblem(f"`{prefix}` {wrong}", hint="write it like registry.example.org:5000/k8s")
    spec = flags.load(ctx, config).spec
    now = work.logged(ctx)
    done = verbs.push_bundle(spec, Path(file), prefix, supplies.watch(now, "uploaded"))
    data = {"names": list(done.names), "uploaded": done.uploaded}
    work.result(now, "Push", data, lambda: "\n".join(done.names))
    return 0
