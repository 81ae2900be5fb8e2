"""What a command says when it is done: next steps for people, data for stdout."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from kubeboot.cli.terminal import Terminal
from kubeboot.config import durations
from kubeboot.fleet import orders

NEW_TOKEN = "sudo kubeboot token create --print-join-command"  # noqa: S105 - a command


def init_done(result: orders.InitResult, terminal: Terminal, now: datetime.datetime) -> str:
    """What to do next; ends where the join command follows on stdout."""
    lines = [
        "",
        terminal.paint("bold", "the cluster is ready"),
        "",
        "to use it from this machine:",
        f"  {f'export KUBECONFIG={result.kubeconfig}':<64}# as root",
        f"  {'mkdir -p ~/.kube && sudo kubeboot kubeconfig > ~/.kube/config':<64}# as yourself",
        "",
    ]
    if result.join_command is None:
        return "\n".join([*lines, "to add a machine, print a join command with", f"  {NEW_TOKEN}"])
    if result.control_plane_join_command is not None:
        lines += ["the second of the two lines below makes a machine another control plane;",
                  "its certificate key is secret too, and valid for two hours", ""]  # fmt: skip
    if result.balancer_join_command is not None:
        lines += ["the last of the lines below makes a machine a balancer; workers use",
                  f"{result.endpoint}, which leads to balancers: one of these comes first", ""]  # fmt: skip
    return "\n".join(
        [*lines, "to add a machine, run this on it as root", f"(the token is secret; {expiry(result, now)}):"]
    )


def expiry(result: orders.InitResult, now: datetime.datetime) -> str:
    """Until when the token is good."""
    if result.token_expires is None:
        return "it does not expire"
    left = durations.words(result.token_expires - now)
    return f"it expires in {left}, at {moment(result.token_expires)}"


def moment(when: datetime.datetime) -> str:
    """A point in time, in UTC: machines in one cluster need not share a time zone."""
    return f"{when.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def init_data(result: orders.InitResult) -> dict[str, Any]:
    """InitResult for machines."""
    return {
        "changed": result.changed,
        "ok": result.ok,
        "seconds": round(result.seconds, 3),
        "kubeconfig": result.kubeconfig,
        "endpoint": result.endpoint,
        "joinCommand": result.join_command.reveal() if result.join_command else None,
        "controlPlaneJoinCommand": (
            result.control_plane_join_command.reveal() if result.control_plane_join_command else None
        ),
        "balancerJoinCommand": (
            result.balancer_join_command.reveal() if result.balancer_join_command else None
        ),
        "tokenExpires": stamp(result.token_expires),
    }


def stamp(when: datetime.datetime | None) -> str | None:
    """RFC 3339."""
    return f"{when.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}" if when else None


def join_done(result: orders.JoinResult, terminal: Terminal) -> str:
    """What happened, and where to look."""
    name, cluster = result.node or "this machine", result.cluster or "the cluster"
    if result.role == "load_balancer":
        return "\n".join(["", terminal.paint("bold", f"{name} leads to the API servers of {cluster}")])
    headline = terminal.paint("bold", f"{name} is a node of {cluster}, and it is Ready")
    return "\n".join(["", headline, "", "to see it, on a control plane:", "  sudo kubeboot status"])


def join_data(result: orders.JoinResult) -> dict[str, Any]:
    """JoinResult for machines."""
    return {
        "changed": result.changed,
        "ok": result.ok,
        "seconds": round(result.seconds, 3),
        "node": result.node,
        "role": result.role,
        "cluster": result.cluster,
        "etcdMembers": result.voters or None,
    }


def reset_done(result: orders.ResetResult, terminal: Terminal) -> str:
    """That the machine is clean, or what is left on it."""
    if result.left:
        return "\n".join(["", "could not be removed:", *(f"  {what}" for what in result.left)])
    if not result.changed:
        return "kubeboot has left nothing on this machine"
    return "\n".join(["", terminal.paint("bold", "this machine is as it was before kubeboot")])


def reset_data(result: orders.ResetResult) -> dict[str, Any]:
    """ResetResult for machines."""
    return {
        "changed": result.changed,
        "ok": result.ok,
        "seconds": round(result.seconds, 3),
        "left": list(result.left),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, as wide as what is in them, with two spaces between."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in (head, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
