"""Firewalls: who keeps one, and which rules would catch the cluster's packets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.host.model import Rule
from kubeboot.steps import firewall
from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene

UFW = "/etc/ufw/ufw.conf"
_PORTS = re.compile(r"\bdport (!= )?(?:\{([^}]*)\}|(\S+))")
_ALWAYS = re.compile(r"(counter( packets \d+ bytes \d+)? )?(drop|reject\b.*)")


def firewalls(scene: Scene) -> Iterable[Finding]:
    """What an administrator's rules let through cannot be told from outside: told of, not refused."""
    if scene.spec.open_firewall:
        return
    opened = scene.see.stat(firewall.STATE) is not None
    kept = [] if opened else [unit for unit in firewall.FIREWALLS if unit in _kept(scene)]
    for unit in kept:
        state = "is active" if unit in scene.see.active_units() else "starts at the next boot"
        yield _firewall(scene, f"Firewall-{unit.split('.')[0]}", f"{unit} {state}")
    drops = [c for c in firewall.closed(scene.see.nft_chains()) if c.policy == "drop"]
    drops += [c for c in scene.see.nft_chains() if c.hook in ("output", "prerouting") and c.policy == "drop"]
    if drops and not kept:
        named = ", ".join(f"{c.family} {c.table} {c.name}" for c in drops)
        yield _firewall(scene, "Firewall-policy", f"nftables drops by default what comes to {named}")
    caught = [] if kept or scene.touched else [r for r in scene.see.nft_refusals() if _catches(scene, r)]
    if caught:
        first = caught[0]
        said = f"{first.text!r} in {first.family} {first.table} {first.chain}"
        more = f", and {len(caught) - 1} more rules" if len(caught) > 1 else ""
        yield _firewall(scene, "Firewall-rules", f"nftables refuses packets by {said}{more}")


def _kept(scene: Scene) -> frozenset[str]:
    """Units that run or that boots bring. Where ufw is installed its unit does so although ufw is off."""
    found = scene.see.active_units() | configured.enabled(scene)
    off = re.search(r"^ENABLED=no", scene.text(UFW), re.MULTILINE)
    return found - {"ufw.service"} if off else found


def _catches(scene: Scene, rule: Rule) -> bool:
    """A rule for a port that the cluster needs, or one that spares nothing."""
    found = _PORTS.search(rule.text)
    if found is None:
        return _ALWAYS.fullmatch(rule.text) is not None
    wanted = (*firewall.ports(scene.spec, scene.node), firewall.VXLAN)
    spans = [part.strip() for part in (found[2] or found[3]).split(",")]
    named = [any(_within(port, span) for span in spans) for port in wanted]
    if found[1]:  # a set that has a name spares what nobody can tell from here
        return not all(named) and all(span[:1].isdigit() for span in spans)
    return any(named)


def _within(port: int, span: str) -> bool:
    low, _, high = span.partition("-")
    return low.isdigit() and int(low) <= port <= int(high if high.isdigit() else low)


def _firewall(scene: Scene, name: str, what: str) -> Finding:
    wanted = ", ".join(map(str, firewall.ports(scene.spec, scene.node)))
    return Finding(
        name,
        f"{what}; the cluster needs TCP {wanted}, UDP {firewall.VXLAN} and forwarding for pods",
        "run init or join with --open-firewall, or add rules of your own that accept these",
        "warning",
    )


def iptables(scene: Scene) -> Iterable[Finding]:
    """Legacy rules and nftables' are both in force, and neither's tool shows the other's."""
    legacy = scene.text("/proc/net/ip_tables_names").split()
    modern = [name for family, name in scene.see.nft_tables() if family == "ip" and name in ("filter", "nat")]
    if legacy and modern:
        yield Finding(
            "IptablesMixed",
            f"iptables rules are kept both in legacy tables ({', '.join(legacy)}) and in nftables ones",
            "update-alternatives --set iptables /usr/sbin/iptables-nft; iptables-legacy -F; reboot",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (firewalls, iptables)
