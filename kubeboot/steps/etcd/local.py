"""The member of etcd on this machine, as its static pod describes it, running or put away for a repair."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from kubeboot import render
from kubeboot.engine import journal
from kubeboot.host.api import HostView
from kubeboot.pki import endpoint
from kubeboot.steps.static_pod import MANIFESTS

WORK = f"{journal.HOME}/etcd-repair"
"""Is there while a restore or a recovery is not finished."""
PARKED = f"{WORK}/manifests"
NOTE = f"{WORK}/note.json"
FORCED = "--force-new-cluster=true"
ETCD = "etcd"
PODS = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", ETCD)
"""What is stopped for a repair, in this order, and started again in the other."""


@dataclasses.dataclass(frozen=True)
class Local:
    """Who this machine is to etcd."""

    name: str
    image: str
    data_dir: str
    client_url: str
    peer_url: str
    control_plane: bool = True
    """An API server is beside it; on a machine of etcd's own there is none."""

    @property
    def address(self) -> str:
        """The member's own, where its peers find it."""
        return host_of(self.peer_url)

    @property
    def database(self) -> str:
        """The file that everything is in."""
        return f"{self.data_dir}/member/snap/db"


@dataclasses.dataclass(frozen=True)
class Note:
    """A repair that was begun: which, of what, where the old data is kept, and whether there was any."""

    verb: str
    source: str
    kept: str
    had_data: bool

    def encode(self) -> bytes:
        """As it lies on the disk."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"


def host_of(url: str) -> str:
    """The host in a URL with a port."""
    return endpoint.host_of(url.partition("://")[2])


def path(name: str) -> str:
    """A static pod's manifest."""
    return f"{MANIFESTS}/{name}.yaml"


def parked(name: str) -> str:
    """Where it is put away."""
    return f"{PARKED}/{name}.yaml"


def manifest(see: HostView, name: str) -> bytes | None:
    """As it was before a repair touched it."""
    put_away = see.read(parked(name))
    return see.read(path(name)) if put_away is None else put_away


def find(see: HostView) -> Local | None:
    """None where no etcd is."""
    data = manifest(see, ETCD)
    if data is None:
        return None
    flags = arguments(data)
    return Local(
        name=flags["name"],
        image=str(_container(data)["image"]),
        data_dir=flags["data-dir"].rstrip("/"),
        client_url=flags["advertise-client-urls"].split(",")[0],
        peer_url=flags["initial-advertise-peer-urls"].split(",")[0],
        control_plane=manifest(see, "kube-apiserver") is not None,
    )


def arguments(data: bytes) -> dict[str, str]:
    """A static pod's flags by name."""
    words = (str(word).removeprefix("--").partition("=") for word in _container(data)["command"][1:])
    return {name: value for name, _, value in words}


def forced(data: bytes) -> bytes:
    """etcd's manifest with the flag that makes it forget all other members."""
    pod = render.load(data)
    pod["spec"]["containers"][0]["command"].append(FORCED)
    return render.dump(pod).encode()


def note(see: HostView) -> Note | None:
    """The repair that was begun here and is not finished."""
    data = see.read(NOTE)
    return Note(**json.loads(data)) if data is not None else None


def _container(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = render.load(data)["spec"]["containers"][0]
    return found
