"""Where containerd gets the images of workloads from, and whom it shows what credentials.

containerd reads hosts.toml at every pull, the kubelet its config.json within five minutes: no restart.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from kubeboot.artifacts import credentials, mirrors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, Registry
from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.steps import basic, paths

CERTS = "/etc/containerd/certs.d"
KUBELET_CREDENTIALS = "/var/lib/kubelet/config.json"
MODE = 0o600


def hosts_toml(registry: Registry) -> str:
    """A registry's hosts.toml: its mirrors in order, then itself or what takes its place."""
    lines = ["# Written by kubeboot, from `registries` in the cluster's configuration."]
    if registry.server is not None:
        lines += [f"server = {_text(_api(registry.server))}", "override_path = true"]
    if registry.ca_file is not None:
        lines.append(f"ca = {_text(registry.ca_file)}")
    for mirror in registry.mirrors:
        lines += ["", *_host(mirror, registry.ca_file)]
    return "\n".join(lines) + "\n"


def _host(mirror: str, ca_file: str | None) -> Iterator[str]:
    yield f"[host.{_text(_api(mirror))}]"
    yield '  capabilities = ["pull", "resolve"]'
    yield "  override_path = true"
    if ca_file is not None:
        yield f"  ca = {_text(ca_file)}"


def _api(url: str) -> str:
    """The API's address with the mirror's prefix behind its version, as everywhere in kubeboot."""
    return mirrors.api(url).rstrip("/")


def _text(value: str) -> str:
    """A TOML string: JSON's escapes are among TOML's."""
    return json.dumps(value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureCredentials(Step):
    """A file of registry credentials where the kubelet looks for it. What is in it is never shown."""

    origin: str
    path: str = KUBELET_CREDENTIALS

    def check(self, see: View, vals: Values) -> Check:
        wanted, stat = see.host.read(self.origin), see.host.stat(self.path)
        if wanted is None and stat is None:
            hint = "copy it to this machine, or change registryCredentialsFile"
            return Blocked(f"there are no registry credentials {self.origin}", hint)
        if wanted is not None and (wrong := _problem(wanted)):
            return Blocked(f"registry credentials {self.origin} {wrong}", "write them with `docker login`")
        if stat is None:
            return Drift(f"copy {self.origin} to {self.path}", "create")
        if wanted is not None and see.host.read(self.path) != wanted:
            return Drift(f"copy {self.origin} to {self.path}", "change")
        mode = paths.mode_drift(stat, MODE, "root:root")
        return Drift(f"{self.path}: {mode}", "change") if mode else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.path)

    def apply(self, do: Target, vals: Values) -> None:
        data = do.see.host.read(self.origin)
        if data is not None:
            do.host.write(self.path, data, MODE)
        do.host.chmod(self.path, MODE)


def _problem(data: bytes) -> str | None:
    try:
        credentials.parse(data)
    except credentials.UNREADABLE:
        return "cannot be understood"
    return None


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """One file for each registry, and the credentials if there are any."""
    files = tuple(
        basic.EnsureFile(
            id=f"runtime/registry-{registry.host.replace(':', '_')}",
            title=f"Say where images of {registry.host} come from",
            on=node.name,
            after=frozenset({"trees/"}),
            path=f"{CERTS}/{registry.host}/hosts.toml",
            data=hosts_toml(registry).encode(),
        )
        for registry in spec.registries
    )
    if spec.registry_credentials_file is None:
        return files
    shown = EnsureCredentials(
        id="runtime/registry-credentials",
        title="Give the kubelet its registry credentials",
        on=node.name,
        after=frozenset({"trees/"}),
        origin=spec.registry_credentials_file,
    )
    return (*files, shown)
