"""kubeboot certs."""

from __future__ import annotations

from typing import Any

import click

from kubeboot.cli import hidden, params, runtime, work
from kubeboot.cli.command import Group


@click.group(
    cls=Group,
    help="share the control planes' certificates with new ones",
    examples=("sudo kubeboot certs upload",),
)
def certs() -> None:
    """Everything is in the sub-commands."""


@certs.command(
    help="store the shared certificates, encrypted, in the cluster for two hours; prints the key",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot certs upload",
        "sudo kubeboot certs upload > key",
        "sudo kubeboot token create --print-join-command --certificate-key-file key",
    ),
)
@params.certificate_key_options
@params.kubeconfig_option
@click.pass_context
def upload(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """The key is all that is on stdout."""
    from kubeboot.cli import actions
    from kubeboot.fleet import orders_cluster

    key = hidden.certificate_key(ctx, given["certificate_key"], given["certificate_key_file"])
    now = work.logged(ctx)
    found = actions.certs_upload(orders_cluster.CertsUploadOptions(key, given["kubeconfig"]))
    runtime.current(ctx).redactor.hide(found.reveal())
    now.say("a control plane joins with --control-plane and this key; it is secret, and valid for two hours")
    work.result(now, "CertificateKey", {"certificateKey": found.reveal()}, found.reveal)
    return 0
