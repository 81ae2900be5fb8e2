"""What a lab owns in Docker: one network, and all that carries its label."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kubeboot import errors
from lablib import machine_state, tools

LABEL = "io.kubeboot.lab"


def taken_subnets() -> list[str]:
    """Every IPv4 network that this computer reaches, or that another lab has chosen."""
    labs = [lab.subnet for name in machine_state.names() if (lab := machine_state.load(name))]
    routes = tools.run(["ip", "-4", "route", "show", "table", "all"])
    return [*labs, *machine_state.routed(routes), *_docker_subnets()]


def _docker_subnets() -> list[str]:
    ids = tools.run(["docker", "network", "ls", "--quiet"]).split()
    networks = json.loads(tools.run(["docker", "network", "inspect", *ids])) if ids else []
    configs = [config for network in networks for config in network["IPAM"]["Config"] or []]
    return [config["Subnet"] for config in configs if ":" not in config["Subnet"]]


def create_network(name: str, lab: str, subnets: Iterable[str]) -> str:
    """Make the lab's network in the first of the subnets that Docker accepts; that subnet."""
    for subnet in subnets:
        try:
            argv = ["--driver", "bridge", "--label", f"{LABEL}={lab}", "--subnet", subnet]
            tools.run(["docker", "network", "create", *argv, name])
        except errors.KubebootError as error:
            if "overlaps" in (error.output or ""):
                continue
            raise
        return subnet
    raise errors.KubebootError("no free subnet for a lab", hint="see `vagrant/lab list`, and remove one")


def running(lab: str) -> dict[str, str]:
    """The lab's running containers: id by name."""
    out = tools.run(["docker", "ps", "--filter", f"label={LABEL}={lab}", "--format", "{{.Names}} {{.ID}}"])
    return dict(line.split() for line in out.splitlines())


def labels() -> set[str]:
    """The names of all labs that Docker knows something of."""
    found: set[str] = set()
    for argv in (["ps", "--all"], ["network", "ls"]):
        form = f'{{{{.Label "{LABEL}"}}}}'
        found.update(tools.run(["docker", *argv, "--filter", f"label={LABEL}", "--format", form]).split())
    return found


def remove(lab: str, keep: frozenset[str] = frozenset()) -> None:
    """Remove the lab's containers with their volumes (but those to keep, by name), and then its network."""
    match = ["--filter", f"label={LABEL}={lab}"]
    containers = tools.run(["docker", "ps", "--all", *match, "--format", "{{.Names}}"]).split()
    if doomed := [name for name in containers if name not in keep]:
        tools.run(["docker", "rm", "--force", "--volumes", *doomed])
    if keep:
        return
    if networks := tools.run(["docker", "network", "ls", *match, "--quiet"]).split():
        tools.run(["docker", "network", "rm", *networks])
