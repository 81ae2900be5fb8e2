"""Stands in for what the commands do: which options reach it, and what is made of its answers."""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Callable
from typing import Any

from kubeboot.engine.values import Secret
from kubeboot.fleet import orders, orders_cluster
from kubeboot.fleet.status import Status

TOKEN = "abcdef.0123456789abcdef"
PIN = f"sha256:{'1f' * 32}"
JOIN = ("join", "10.0.0.11:8443", "--token", TOKEN, "--discovery-token-ca-cert-hash", PIN)
LINE = f"kubeboot join 10.0.0.11:8443 --token {TOKEN} --discovery-token-ca-cert-hash {PIN}"
SOON = datetime.datetime(2099, 1, 2, 3, 4, tzinfo=datetime.UTC)


class Actions:
    """Stands in for every action: remembers the options, answers what it was given."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: dict[str, Any] = {
            "init": orders.InitResult(
                3, 2, 1.5, "/etc/kubernetes/admin.conf", "10.0.0.11:8443", Secret(LINE), SOON
            ),
            "join": orders.JoinResult(4, 0, 2.0, "w-1", "kubernetes"),
            "reset": orders.ResetResult(5, 0, 3.0),
            "kubeconfig": Secret("apiVersion: v1\nkind: Config\n"),
            "token_create": orders_cluster.TokenCreateResult(Secret(TOKEN), SOON, None),
            "token_list": (),
            "token_delete": orders_cluster.TokenDeleteResult(("abcdef",)),
            "status": Status(),
            "preflight": orders.PreflightResult((), 12),
        }

    def stand_in(self, name: str) -> Callable[..., Any]:
        def act(options: Any, emit: Any = None) -> Any:
            self.asked.append(options)
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return act


def cluster_file(path: pathlib.Path, **fields: object) -> pathlib.Path:
    """A configuration file with these fields."""
    path.write_text(json.dumps({"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster", **fields}))
    return path
