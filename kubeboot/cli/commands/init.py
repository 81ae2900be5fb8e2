"""kubeboot init."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import click

from kubeboot import errors
from kubeboot.cli import flags, hidden, params, runtime, work
from kubeboot.cli.command import Command
from kubeboot.config import purpose

if TYPE_CHECKING:
    from kubeboot.config.etcd_access import Access
    from kubeboot.config.layers import Setting
    from kubeboot.config.run import Hidden
    from kubeboot.engine.values import Secret
    from kubeboot.fleet.orders import InitOptions, InitResult


@click.command(
    cls=Command,
    help="make this machine the first control plane of a new cluster",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot init                                       # all defaults",
        "sudo kubeboot init --single                              # a cluster of one machine that runs pods",
        "sudo kubeboot init --control-plane-endpoint k8s.example.org:8443",
        "sudo kubeboot init --upload-certs                        # other control planes can join",
        "sudo kubeboot init --external-etcd etcd.access            # etcd on machines of its own",
        "sudo kubeboot init --config cluster.yaml",
        "sudo kubeboot init --dry-run -v                          # what would be done, with diffs",
    ),
)
@click.option(
    "--apiserver-advertise-address", metavar="IP", help="the address by which other machines reach this one"
)
@click.option(
    "--apiserver-bind-port", type=int, metavar="PORT", help="where the API server listens; default 6443"
)
@params.comma_option(
    "--apiserver-cert-extra-sans", help="additional names for the API server's certificate", metavar="NAME"
)
@click.option(
    "--control-plane-endpoint", metavar="HOST:PORT", help="a stable address for all control planes together"
)
@click.option(
    "--load-balancer",
    metavar="MODE",
    help="where haproxy runs: on every machine (`local`), on its own (`machines`), nowhere (`external`)",
)
@click.option("--virtual-ip", metavar="IP", help="an address that moves between control planes by VRRP")
@click.option("--pod-network-cidr", metavar="CIDR", help="addresses of pods; default 10.244.0.0/16")
@click.option("--service-cidr", metavar="CIDR", help="addresses of services; default 10.96.0.0/12")
@click.option(
    "--service-dns-domain", metavar="DOMAIN", help="the cluster's DNS domain; default cluster.local"
)
@click.option("--kubernetes-version", metavar="VERSION", help="which Kubernetes; default v1.37.1")
@click.option("--image-repository", metavar="PREFIX", help="where images come from; default registry.k8s.io")
@params.node_name_option
@click.option("--single", is_flag=True, help="one machine that is control plane and worker")
@params.bundle_option
@params.open_firewall_option
@params.token_options
@click.option(
    "--token-ttl",
    type=params.Duration(),
    metavar="DURATION",
    help="how long the token is valid; 0: forever; default 24h",
)
@click.option(
    "--upload-certs",
    is_flag=True,
    help="store the encrypted certificates for other control planes, for two hours",
)
@params.certificate_key_options
@click.option(
    "--external-etcd", metavar="FILE", help="use the etcd machines whose `kubeboot etcd export` wrote FILE"
)
@params.run_options
@click.pass_context
def init(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """The options, one action, its result."""
    from kubeboot.cli import actions

    options = _options(ctx, given)
    now = runtime.current(ctx)
    with work.working(ctx, dry_run=options.dry_run) as emit:
        result = actions.init(options, emit)
    if not options.dry_run:
        _show(now, result)
    return 0


def _options(ctx: click.Context, given: dict[str, Any]) -> InitOptions:
    from kubeboot.fleet.orders import InitOptions

    files = (given["certificate_key_file"], given["external_etcd"])
    hidden.one_reader(given["token_file"], given["config"], *files)
    token = hidden.token(ctx, given["token"], given["token_file"])
    etcd = _etcd(given["external_etcd"])
    loaded = flags.load(ctx, given["config"], purpose.MAKE, more=_endpoints(etcd))
    run = loaded.run
    key = _key(ctx, given, run.certificate_key)
    if token is None:
        token = hidden.token(ctx, None, None, run.token)
    ttl = given["token_ttl"] if given["token_ttl"] is not None else run.token_ttl
    return InitOptions(
        spec=loaded.spec,
        token=token,
        token_ttl=datetime.timedelta(hours=24) if ttl is None else ttl,
        certificate_key=key,
        etcd=etcd,
        **flags.run(given, run),
    )


def _etcd(file: str | None) -> Access | None:
    """How etcd's machines let control planes in."""
    if file is None:
        return None
    from kubeboot.config import etcd_access

    return etcd_access.access(hidden.file(file, "--external-etcd"), file)


def _endpoints(etcd: Access | None) -> tuple[Setting, ...]:
    if etcd is None:
        return ()
    return (flags.setting(("etcd", "external", "endpoints"), etcd.endpoints, "--external-etcd"),)


def _key(ctx: click.Context, given: dict[str, Any], configured: Hidden | None) -> Secret[str] | None:
    """What to seal the certificates with, if they are to be uploaded."""
    from kubeboot.engine.values import Secret
    from kubeboot.pki import sealed

    found = hidden.certificate_key(ctx, given["certificate_key"], given["certificate_key_file"])
    if not given["upload_certs"]:
        if found is not None:
            raise errors.UsageProblem("a certificate key is only useful with --upload-certs")
        if configured is not None:
            runtime.current(ctx).say("warning: certificateKey has no effect without --upload-certs")
        return None
    found = found or hidden.certificate_key(ctx, None, None, configured)
    key = found or Secret(sealed.new_key())
    runtime.current(ctx).redactor.hide(key.reveal())
    return key


def _show(now: runtime.Runtime, result: InitResult) -> None:
    from kubeboot.cli import screens

    if not now.settings.json:
        now.say(screens.init_done(result, now.stderr, datetime.datetime.now(datetime.UTC)))
    commands = (result.join_command, result.control_plane_join_command, result.balancer_join_command)
    text = "\n".join(command.reveal() for command in commands if command)
    work.result(now, "InitResult", screens.init_data(result), lambda: text)
