"""What a description says of machines: this one, and a fleet's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from kubeboot.config.components import Argument
from kubeboot.config.model import Model


class Taint(Model):
    """A node taint."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class NodeOptions(Model):
    """What is particular to the machine that the command runs on."""

    name: str | None = None
    advertise_address: str | None = None
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] | None = None
    kubelet_extra_args: tuple[Argument, ...] = ()


class SshOptions(Model):
    """How a machine is reached; what is not said comes from ~/.ssh/config.

    `options` are ssh's own, by their names in ssh_config. `local`: it is the machine that runs kubeboot.
    """

    host: str | None = None
    user: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key_file: str | None = None
    host_key: str | None = None
    jump: str | None = None
    options: dict[str, str] = {}
    local: bool = False


class HostEntry(Model):
    """A machine of the fleet. `address` is the one that the others reach it by."""

    name: str
    role: Literal["control-plane", "worker", "etcd", "lb"] = "worker"
    address: str | None = None
    ssh: SshOptions = SshOptions()
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] | None = None


class Hooks(BaseModel):
    """Playbooks (paths) that `kubeboot up` runs, once on each machine: before anything else, after all of it.

    `*_init`: on the first control plane alone, when the cluster is made. `before_reset`: by `down` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    before_host: str | None = None
    after_host: str | None = None
    before_init: str | None = None
    after_init: str | None = None
    before_reset: str | None = None
