"""From a command line to an exit code, with never a traceback in between."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

import kubeboot
from kubeboot import errors
from kubeboot.cli import failure
from kubeboot.cli.command import Group
from kubeboot.cli.runtime import Runtime

_HERE = "kubeboot.cli.commands"
COMMANDS = {
    "init": (f"{_HERE}.init:init", "make this machine the first control plane of a new cluster"),
    "join": (f"{_HERE}.join:join", "make this machine a node of an existing cluster"),
    "reset": (f"{_HERE}.reset:reset", "undo everything that kubeboot did to this machine"),
    "up": (f"{_HERE}.up:up", "make a fleet of machines, over SSH, match its description"),
    "plan": (f"{_HERE}.up:plan", "show what `up` would do on each machine, and change nothing"),
    "down": (f"{_HERE}.up:down", "remove a whole cluster from its machines"),
    "exec": (f"{_HERE}.exec:exec_", "run a command on machines of a fleet"),
    "status": (f"{_HERE}.status:status", "show nodes, components, versions and certificates"),
    "doctor": (f"{_HERE}.doctor:doctor", "find what is wrong with this machine and its cluster"),
    "preflight": (f"{_HERE}.preflight:preflight", "check whether this machine can become a node"),
    "token": (f"{_HERE}.token:token", "create, list and delete the tokens that machines join with"),
    "certs": (f"{_HERE}.certs:certs", "share the control planes' certificates with new ones"),
    "node": (f"{_HERE}.node:node", "remove machines from the cluster"),
    "etcd": (f"{_HERE}.etcd:etcd", "show, save, restore and recover etcd; run it on machines of its own"),
    "kubeconfig": (
        f"{_HERE}.kubeconfig:kubeconfig",
        "print the administrator's kubeconfig, or add it to your own",
    ),
    "config": (f"{_HERE}.config:config", "print, validate and describe the configuration"),
    "artifacts": (f"{_HERE}.artifacts:artifacts", "list, lock and download what a cluster is made of"),
    "bundle": (f"{_HERE}.bundle:bundle", "create, check and push bundles for offline sites"),
    "support": (f"{_HERE}.support:support", "pack logs, versions and states into one file, without secrets"),
    "completion": (f"{_HERE}.completion:completion", "print a completion script for your shell"),
    "version": (f"{_HERE}.version:version", "print the version"),
}
"""Name, where it lives, and its line in the help: nothing is imported to show it."""


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.ensure_object(Runtime).console.data(f"kubeboot {kubeboot.__version__}")
        ctx.exit()


@click.command(
    cls=Group,
    name="kubeboot",
    lazy=COMMANDS,
    help="a Kubernetes cluster in two commands: `kubeboot init` and `kubeboot join`",
    examples=(
        "sudo kubeboot init                      # the first machine",
        "sudo kubeboot join 10.0.0.11:8443 ...     # every other one; init prints the whole line",
        "kubeboot init --dry-run                 # what would be done",
    ),
    epilog="every option can be given in the environment too: --service-cidr as KUBEBOOT_SERVICE_CIDR",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="print the version"
)
def cli() -> None:
    """Everything is in the sub-commands."""


def main(arguments: Sequence[str], runtime: Runtime) -> int:
    """One invocation, from its arguments to its exit code."""
    try:
        return _finish(runtime, _invoke(arguments, runtime))
    except errors.KubebootError as error:
        return failure.report(error, runtime)
    finally:
        runtime.close()


def _invoke(arguments: Sequence[str], runtime: Runtime) -> int:
    try:
        found = cli.main(list(arguments), "kubeboot", standalone_mode=False, obj=runtime)
    except click.exceptions.NoArgsIsHelpError as error:
        runtime.console.say(error.message)
        return error.exit_code
    except click.ClickException as error:
        raise failure.from_click(error) from None
    except (KeyboardInterrupt, click.Abort):
        raise failure.interrupted() from None
    except errors.KubebootError as error:
        _trace(error, runtime)
        raise
    except Exception as error:
        runtime.open_log()
        _trace(error, runtime)
        logged = runtime.log is not None and runtime.log.path is not None
        raise failure.unexpected(error, logged=logged) from error
    return found if isinstance(found, int) else 0


def _trace(error: BaseException, runtime: Runtime) -> None:
    """The traceback: to the log when there is one, to stderr with --debug."""
    if runtime.log is not None:
        import logging

        logging.getLogger("kubeboot").debug("failed: %s", getattr(error, "output", ""), exc_info=error)
    if runtime.settings.debug:
        import traceback

        runtime.console.say(runtime.redactor.clean("".join(traceback.format_exception(error)).rstrip()))


def _finish(runtime: Runtime, code: int) -> int:
    """Data that could not be written is a failure, however well the rest went; a reader that left is not."""
    if runtime.console.out.failed is None:
        return code
    raise errors.KubebootError(
        f"cannot write to standard output: {os.strerror(runtime.console.out.failed.errno or 0)}",
        hint="look at where it goes: df -h, or what reads the pipe",
        reason="KB_OUTPUT",
    )
