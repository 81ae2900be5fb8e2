"""kubeboot join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kubeboot import errors
from kubeboot.cli import flags, hidden, params, runtime, work
from kubeboot.cli.command import Command
from kubeboot.config import purpose

if TYPE_CHECKING:
    from kubeboot.config.loader import Loaded
    from kubeboot.config.node import Role
    from kubeboot.engine.values import Secret
    from kubeboot.fleet.orders import JoinOptions

ROLES: dict[str, Role] = {"worker": "worker", "control-plane": "control_plane", "lb": "load_balancer"}
"""What a machine joins as, in the command's words."""
_PRINTS = "on a control plane, `kubeboot token create --print-join-command` prints the whole line"


@click.command(
    cls=Command,
    help="make this machine a node of an existing cluster",
    outputs=("text", "json"),
    examples=(
        "sudo kubeboot join 10.0.0.11:8443 --token-file token --discovery-token-ca-cert-hash sha256:1f2e...",
        "sudo kubeboot join 10.0.0.11:8443 --token TOKEN --discovery-token-ca-cert-hash sha256:1f2e...",
        "sudo kubeboot join 10.0.0.11:8443 ... --control-plane --certificate-key-file key",
        "sudo kubeboot join 10.0.0.11:6443 ... --role lb            # haproxy alone, for the others",
        "sudo kubeboot join k8s.example.org:8443 ... --dry-run      # what would be done",
    ),
)
@click.argument("endpoint", metavar="HOST:PORT", required=False)
@params.token_options
@params.comma_option(
    "--discovery-token-ca-cert-hash",
    help="the cluster's CA, as `sha256:...`; required",
    metavar="HASH",
)
@click.option("--control-plane", is_flag=True, help="join as another control plane, with etcd")
@click.option(
    "--role",
    type=click.Choice(tuple(ROLES)),
    help="what to join as; `lb` is a load balancer only, not a node; default worker",
)
@params.certificate_key_options
@params.node_name_option
@params.bundle_option
@params.open_firewall_option
@params.run_options
@click.pass_context
def join(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters
    """The options, one action, its result."""
    from kubeboot.cli import actions, screens

    options = _options(ctx, given)
    now = runtime.current(ctx)
    with work.working(ctx, dry_run=options.dry_run) as emit:
        result = actions.join(options, emit)
    if options.dry_run:
        return 0
    work.told(now, "JoinResult", screens.join_data(result), screens.join_done(result, now.stderr))
    return 0


def _options(ctx: click.Context, given: dict[str, Any]) -> JoinOptions:
    """Everything is checked before the first packet leaves the machine."""
    from kubeboot.fleet.orders import JoinOptions

    hidden.one_reader(given["token_file"], given["config"], given["certificate_key_file"])
    host, port = _address(given["endpoint"]) if given["endpoint"] is not None else ("", 0)
    pins = _pins(given["discovery_token_ca_cert_hash"])
    token = hidden.token(ctx, given["token"], given["token_file"])
    key = hidden.certificate_key(ctx, given["certificate_key"], given["certificate_key_file"])
    loaded = flags.load(ctx, given["config"], purpose.JOIN)
    run = loaded.run
    role = _role(given["role"], given["control_plane"] or run.control_plane)
    key = _key(role, key or hidden.certificate_key(ctx, None, None, run.certificate_key))
    if not host:
        host, port = _configured_address(loaded)
    return JoinOptions(
        host=host,
        port=port,
        token=_token(token or hidden.token(ctx, None, None, run.token)),
        ca_pins=_pinned(pins or _pins(run.ca_pins)),
        spec=loaded.spec,
        role=role,
        certificate_key=key,
        **flags.run(given, run),
    )


def _key(role: Role, found: Secret[str] | None) -> Secret[str] | None:
    if found is not None and role != "control_plane":
        raise errors.UsageProblem("a certificate key is only useful with --control-plane")
    return found


def _token(found: Secret[str] | None) -> Secret[str]:
    if found is None:
        raise errors.UsageProblem("no token: give --token-file, --token or KUBEBOOT_TOKEN", hint=_PRINTS)
    return found


def _pinned(found: tuple[str, ...]) -> tuple[str, ...]:
    if not found:
        raise errors.UsageProblem(
            "no --discovery-token-ca-cert-hash: without it, the cluster could be anybody's", hint=_PRINTS
        )
    return found


def _role(said: str | None, control_plane: bool) -> Role:
    if control_plane and said not in (None, "control-plane"):
        raise errors.UsageProblem(f"--control-plane and --role {said} contradict each other")
    return "control_plane" if control_plane else ROLES[said or "worker"]


def _configured_address(loaded: Loaded) -> tuple[str, int]:
    if loaded.run.endpoint is None:
        raise errors.UsageProblem("join what? give HOST:PORT of a control plane", hint=_PRINTS)
    return _address(loaded.run.endpoint)


def _address(text: str) -> tuple[str, int]:
    from kubeboot.config import names

    try:
        host, port = names.split_endpoint(text)
    except ValueError as wrong:
        raise errors.UsageProblem(
            f"`{text}` {wrong}", hint="write it like 10.0.0.11:8443", reason="KB_ENDPOINT"
        ) from None
    if port is None:
        hint = f"write it like {text}:8443; `kubeboot init` printed the whole line"
        raise errors.UsageProblem(f"`{text}` has no port", hint=hint, reason="KB_ENDPOINT")
    if told := names.nowhere(host):
        raise errors.UsageProblem(f"`{text}` {told}", hint=_PRINTS, reason="KB_ENDPOINT")
    return host, port


def _pins(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        return ()
    from kubeboot.pki import pins

    return tuple(dict.fromkeys(pins.parse(text) for text in texts))
