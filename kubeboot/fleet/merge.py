"""The administrator's access, added to a person's own kubeconfig."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubeboot import errors, inputs, outputs, render
from kubeboot.fleet import access, logins, reach
from kubeboot.fleet.orders_fleet import MergeOptions
from kubeboot.pki import kubeconfig as configs

_TABLES = ("clusters", "users", "contexts")


def merge(wanted: MergeOptions, opener: logins.Open = logins.open_host) -> str:
    """Add it as the current context and keep all others; the context's name. The file is its owner's."""
    config = _decoded(_fetched(wanted, opener), wanted.path)
    name = wanted.context or config.cluster
    config = dataclasses.replace(config, server=wanted.server or config.server)
    path = Path(wanted.to).expanduser()
    _write(path, render.dump(merged(_there(path), config, name, str(path))))
    return name


def merged(there: Mapping[str, Any], config: configs.Kubeconfig, name: str, path: str) -> dict[str, Any]:
    """A kubeconfig with one more context; ConfigInvalid when another cluster has the name."""
    named = dataclasses.replace(config, cluster=name, user=f"{name}-admin")
    ours = render.load(configs.encode(named))
    ours["contexts"][0]["name"] = name
    _refuse_other(there, ours, name, path)
    tables = {
        table: [
            *(row for row in _rows(there, table, path) if row["name"] != ours[table][0]["name"]),
            *ours[table],
        ]
        for table in _TABLES
    }
    return {**there, "apiVersion": "v1", "kind": "Config", **tables, "current-context": name}


def _refuse_other(there: Mapping[str, Any], ours: Mapping[str, Any], name: str, path: str) -> None:
    field = "certificate-authority-data"
    for row in _rows(there, "clusters", path):
        if (
            row["name"] == name
            and (row.get("cluster") or {}).get(field) != ours["clusters"][0]["cluster"][field]
        ):
            raise errors.ConfigInvalid(
                f"{path} already has another cluster called {name}",
                hint="give this one another name with --context NAME",
                reason="KB_KUBECONFIG",
            )


def _rows(there: Mapping[str, Any], table: str, path: str) -> Sequence[Mapping[str, Any]]:
    """A table of named things; ConfigInvalid where it is another thing, which is left as it is."""
    rows = there.get(table) or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "name" in row for row in rows):
        raise _unfit(f"{path} is not a kubeconfig: see its {table}")
    return rows


def _there(path: Path) -> Mapping[str, Any]:
    try:
        found = render.load_foreign(inputs.read(path, access.MAX_KUBECONFIG))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unfit(f"{path} cannot be read: {error}") from None
    if not isinstance(found, Mapping | None):
        raise _unfit(f"{path} is not a kubeconfig")
    return found or {}


def _decoded(data: bytes, path: str) -> configs.Kubeconfig:
    try:
        return configs.decode(data)
    except ValueError as error:
        raise _unfit(f"{path} is {error}") from None


def _unfit(text: str) -> errors.ConfigInvalid:
    hint = "it was left as it is; `kubectl config view --kubeconfig FILE` tells what kubectl reads in it"
    return errors.ConfigInvalid(text, hint=hint, reason="KB_KUBECONFIG")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with outputs.replacing(path, 0o600) as file:
        file.write(text.encode())


def _fetched(wanted: MergeOptions, opener: logins.Open) -> bytes:
    """admin.conf of this machine, or of the first control plane that has one."""
    if wanted.inventory is None:
        return access.kubeconfig(wanted.path, None).reveal().encode()
    machines = wanted.inventory.of("control_plane")
    with reach.crew(machines, lambda event: None, opener) as crew:
        for reached in crew.reached:
            if (found := reached.host.read(wanted.path)) is not None:
                return found
    raise errors.Unreachable(
        f"no control plane that answers has {wanted.path}",
        hint="`kubeboot plan` shows the state of the machines",
        reason="KB_KUBECONFIG",
    )
