"""What a machine and its cluster look like, less what differs between any two runs."""

from __future__ import annotations

import dataclasses
import operator
import re
from typing import Any

from tests.fakes.api import BOOKKEEPING
from tests.fakes.entries import File
from tests.fakes.world import World

SECRET = re.compile(r"/etc/kubernetes/(pki/.*|[a-z-]+\.conf)|/var/lib/kubelet/pki/.*|/var/lib/etcd/.*")
INPUTS = re.compile(rb"(kubeboot\.io/inputs: )\S+")
STAYS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
"""Kernel modules stay, and bring these."""


def essence(world: World) -> dict[str, Any]:
    """What two runs have in common: not keys, signatures and what is computed from them."""
    found = world.host.snapshot()
    found["files"] = {path: _plain(path, file) for path, file in found["files"].items()}
    objects = sorted(map(_object, world.api.objects.values()), key=operator.itemgetter(0))
    return found | world.cluster() | {"objects": objects}


def _plain(path: str, file: File) -> File:
    data = b"***" if SECRET.fullmatch(path) else INPUTS.sub(rb"\1***", file.data)
    return dataclasses.replace(file, data=data)


def _object(obj: dict[str, Any]) -> tuple[str, object]:
    kind, meta = obj["kind"], obj["metadata"]
    if kind == "CertificateSigningRequest":
        return kind, None
    name = f"{kind} {meta.get('namespace')}/{meta['name']}"
    if kind == "Secret" or meta["name"] == "cluster-info":
        return name, sorted(obj["data"])
    ignored = (*BOOKKEEPING, "annotations") if kind == "Pod" else BOOKKEEPING
    return name, {**obj, "metadata": {key: value for key, value in meta.items() if key not in ignored}}


def bare(world: World) -> dict[str, Any]:
    """The machine without its modules, which nobody unloads."""
    found = world.host.snapshot(ignore=("/var/log/kubeboot",))
    found["sysctls"] = {key: value for key, value in found["sysctls"].items() if key not in STAYS}
    return {name: table for name, table in found.items() if name != "modules"} | world.cluster()


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """By table, what is in one and not in the other."""
    found = {}
    for name in one.keys() | other.keys():
        has, wants = one.get(name), other.get(name)
        if has != wants and isinstance(has, dict) and isinstance(wants, dict):
            found[name] = {
                k: (has.get(k), wants.get(k)) for k in {*has, *wants} if has.get(k) != wants.get(k)
            }
        elif has != wants:
            found[name] = (has, wants)
    return found
