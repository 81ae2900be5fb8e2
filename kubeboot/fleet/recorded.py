"""Machines as the cluster keeps them: who may write there must not decide what a workstation executes.

So nothing is kept, and nothing believed, but where a machine is and what it is.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot import errors
from kubeboot.inventory import known_keys, plain
from kubeboot.inventory.known_keys import Lines
from kubeboot.inventory.model import ROLES, Access, Inventory, Machine, pin, unfit

OPTIONS: Mapping[str, Callable[[str], bool]] = {"proxyjump": plain.is_jump, "hostkeyalias": plain.is_host}
"""ssh's options that say where a machine is, and what they take."""


def encode(machines: Iterable[Machine]) -> str:
    """As a Secret holds it: no password, no command, no file of known hosts comes with it."""
    return dumped([_data(machine) for machine in machines])


def decode(text: str) -> tuple[Machine, ...]:
    """What `encode` made, and of anything else no more than that. ConfigInvalid (KB_FLEET_RECORD)."""
    try:
        return tuple(believed(_machine(each)) for each in loaded(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _refused("Secret kube-system/kubeboot-fleet is damaged") from None


def decode_keys(text: str) -> Lines:
    """Host keys by machine, as `dumped` wrote them. ConfigInvalid (KB_FLEET_RECORD)."""
    try:
        return {str(name): known_keys.believed(lines) for name, lines in loaded(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise _refused("the host keys in Secret kube-system/kubeboot-fleet are not host keys") from None


def believed(machine: Machine) -> Machine:
    """A machine as the cluster tells of it; ConfigInvalid (KB_FLEET_RECORD) if no words of ours."""
    wrong = "; ".join(unfit(machine))
    if wrong:
        raise _refused(f"what the cluster says about machine {machine.name!r} is not believed: {wrong}")
    return machine


def _refused(why: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        why,
        hint="find out who wrote it; `kubectl -n kube-system delete secret kubeboot-fleet` removes it, and"
        " `kubeboot up` with your inventory writes it again",
        reason="KB_FLEET_RECORD",
    )


def dumped(data: object) -> str:
    """JSON as a Secret holds it."""
    return base64.b64encode(json.dumps(data, sort_keys=True).encode()).decode()


def loaded(text: str) -> Any:  # noqa: ANN401 - JSON
    """What `dumped` made."""
    return json.loads(base64.b64decode(text))


def as_the_others(machine: Machine, inventory: Inventory) -> Machine:
    """With the options of ssh that all machines of the inventory have: those are the user's own words."""
    ways = {(each.access.options, each.access.config) for each in inventory.machines}
    if len(ways) != 1:
        return machine
    ((options, config),) = ways
    access = machine.access
    own = dataclasses.replace(access, options=(*access.options, *options), config=config)
    return dataclasses.replace(machine, access=own)


def _data(machine: Machine) -> dict[str, Any]:
    access = machine.access
    return {
        "name": machine.name,
        "roles": sorted(machine.roles),
        "address": machine.address,
        "labels": machine.labels,
        "taints": machine.taints,
        "bundle": machine.bundle,
        "access": {
            "host": access.host or (machine.address if access.local else None),
            "user": access.user,
            "port": access.port,
            "key_file": access.key_file,
            "options": _where(access.options),
            "host_keys": access.host_keys,
        },
    }


def _where(options: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Of ssh's options those that only say where; ssh does not mind their case."""
    known = ((OPTIONS.get(name.lower()), name, value) for name, value in options)
    return tuple((name, value) for fits, name, value in known if fits and fits(value))


def _machine(data: Mapping[str, Any]) -> Machine:
    access = data["access"]
    taints = None if data["taints"] is None else tuple((k, v, e) for k, v, e in data["taints"])
    return Machine(
        name=data["name"],
        roles=frozenset(role for role in ROLES if role in data["roles"]),
        access=Access(
            host=access["host"],
            user=access["user"],
            port=int(access["port"]) if access["port"] else None,
            key_file=access["key_file"],
            options=_where((name, value) for name, value in access["options"]),
            host_keys=tuple(map(pin, access.get("host_keys", ()))),
        ),
        address=data["address"],
        labels=tuple((name, value) for name, value in data["labels"]),
        taints=taints,
        bundle=data.get("bundle"),
    )
