"""Who the machine is: its id, its name, and what that name leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.steps.preflight.model import Finding, Scene

NAMES_OF_EVERY_MACHINE = frozenset({"localhost", "localhost4", "localhost6"})
"""With any domain. An installer's own, such as `debian`, is one machine's until another one joins with it."""


def machine_id(scene: Scene) -> Iterable[Finding]:
    if not re.fullmatch(r"(?!0{32})[0-9a-f]{32}", scene.facts.machine_id):
        yield Finding(
            "MachineID",
            f"/etc/machine-id is {scene.facts.machine_id or 'empty'!r}",
            "rm -f /etc/machine-id; systemd-machine-id-setup",
        )


def hostname(scene: Scene) -> Iterable[Finding]:
    name = scene.node.name
    if name.split(".")[0] in NAMES_OF_EVERY_MACHINE or name.isdigit():
        yield Finding(
            "Hostname",
            f"this machine's name in the cluster would be {name}, which is not a name of its own",
            "hostnamectl set-hostname NAME, or --node-name NAME",
        )
    if len(name) > 63:
        yield Finding(
            "HostnameLength",
            f"the node's name has {len(name)} characters, and the label kubernetes.io/hostname takes 63",
            f"--node-name {name[:63].split('.')[0]}",
        )


def localhost(scene: Scene) -> Iterable[Finding]:
    rows = _hosts(scene)
    known = {address for address, names in rows if "localhost" in names}
    if not known or known - {"127.0.0.1", "::1"}:
        yield Finding(
            "Localhost",
            f"/etc/hosts maps localhost to {', '.join(sorted(known)) or 'nothing'}",
            "echo '127.0.0.1 localhost' >> /etc/hosts, and nothing else for that name",
            "warning",
        )


def own_name(scene: Scene) -> Iterable[Finding]:
    """Its name at a loopback address, as Debian has it, hurts nobody here."""
    own = {address.split("/")[0] for nic in scene.facts.nics for address in nic.addresses}
    for address, names in _hosts(scene):
        if scene.facts.hostname in names and address not in own and not address.startswith(("127.", "::1")):
            yield Finding(
                "HostsEntry",
                f"/etc/hosts gives this machine's name, {scene.facts.hostname}, another's address, {address}",
                f"sed -i '/^{address}\\s/d' /etc/hosts",
                "warning",
            )


def serving(scene: Scene) -> Iterable[Finding]:
    if scene.spec.kubelet.get("serverTLSBootstrap") is True and scene.node.role in (
        "control_plane",
        "worker",
    ):
        yield Finding(
            "ServingCertificates",
            "kubelets ask for serving certificates (kubelet.serverTLSBootstrap), and nothing in a cluster "
            "approves them by itself: kubectl logs and exec fail until someone does",
            "kubectl get csr, and kubectl certificate approve NAME; or run something that approves them",
            "warning",
        )


def _hosts(scene: Scene) -> list[tuple[str, list[str]]]:
    rows = (line.split("#")[0].split() for line in scene.text("/etc/hosts").splitlines())
    return [(row[0], row[1:]) for row in rows if row]


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    machine_id, hostname, localhost, own_name, serving,
)  # fmt: skip
