"""Name servers and search domains: what pods inherit from the machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from kubeboot.host.facts import is_loopback
from kubeboot.steps.preflight.model import Finding, Scene

RESOLVERS = 3
SEARCH = (32, 2048)
"""Domains and characters that the kubelet gives to pods."""


def resolver(scene: Scene) -> Iterable[Finding]:
    yield from _useless(scene)
    yield from _unreadable(scene.facts.nameservers)
    yield from _too_many(scene.facts.nameservers)


def _useless(scene: Scene) -> Iterable[Finding]:
    servers = scene.facts.nameservers
    if not servers:
        yield Finding(
            "ResolverEmpty",
            "/etc/resolv.conf names no name server: pods will resolve the cluster's own names only",
            "put a name server that pods can reach into /etc/resolv.conf",
            "warning",
        )
    elif all(map(is_loopback, servers)) and scene.node.nameservers:
        yield Finding(
            "Resolver",
            f"/etc/resolv.conf names only {', '.join(servers)}, "
            "which pods cannot use: they will resolve the cluster's own names only",
            "put a name server that pods can reach into /etc/resolv.conf",
            "warning",
        )


def _unreadable(servers: Sequence[str]) -> Iterable[Finding]:
    wrong = [server for server in servers if not _is_address(server)]
    if wrong:
        yield Finding(
            "ResolverInvalid",
            f"/etc/resolv.conf names {', '.join(wrong)}, which is not an address: pods get it anyway",
            "give name servers by their addresses in /etc/resolv.conf",
            "warning",
        )


def _too_many(servers: Sequence[str]) -> Iterable[Finding]:
    if len(servers) > RESOLVERS:
        yield Finding(
            "ResolverLimit",
            f"/etc/resolv.conf names {len(servers)} name servers; pods get the first {RESOLVERS}",
            f"leave {RESOLVERS} of them",
            "warning",
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    return True


def search(scene: Scene) -> Iterable[Finding]:
    rows = [line.split() for line in scene.text("/etc/resolv.conf").splitlines()]
    domains = next((row[1:] for row in reversed(rows) if row[:1] == ["search"]), [])
    own = 3  # default.svc.DOMAIN, svc.DOMAIN, DOMAIN
    if len(domains) + own > SEARCH[0] or len(" ".join(domains)) > SEARCH[1]:
        yield Finding(
            "SearchDomains",
            f"/etc/resolv.conf has {len(domains)} search domains ({len(' '.join(domains))} characters); with "
            f"the cluster's {own} pods get the first {SEARCH[0]}, of {SEARCH[1]} characters",
            "keep only the domains that pods need in /etc/resolv.conf",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (resolver, search)
