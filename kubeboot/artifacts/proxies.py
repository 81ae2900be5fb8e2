"""Which proxy the environment names for a URL: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

NO_PROXY is read as Go's programs read it, for the kubelet and containerd beside us do: names with their
subdomains, addresses, ranges in CIDR notation, ports, `*`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from kubeboot.artifacts.trouble import refused

SCHEMES = ("http", "https")
_PORTS = {"http": 80, "https": 443}


def proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL; None to go directly."""
    parts = urlsplit(url)
    found = _variable(environ, f"{parts.scheme}_proxy") or _variable(environ, "all_proxy")
    if not found or _direct(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0), environ):
        return None
    address = found if "://" in found else f"http://{found}"
    if urlsplit(address).scheme not in SCHEMES or not urlsplit(address).hostname:
        raise refused(
            f"the proxy for {parts.scheme} URLs in the environment is a `{address.split(':')[0]}:` one",
            "write it like http://proxy.example:3128",
        )
    return address


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _direct(host: str, port: int, environ: Mapping[str, str]) -> bool:
    entries = (entry.strip().lower() for entry in _variable(environ, "no_proxy").split(","))
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry, host.lower(), address, port) for entry in entries if entry)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _matches(entry: str, host: str, address: Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _inside(entry, address)
    name, _, number = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if number and number != str(port):
        return False
    if address is not None:
        return _address(name) == address
    suffix = name.removeprefix("*").removeprefix(".")
    return host.endswith(f".{suffix}") or (host == suffix and not name.startswith(("*", ".")))


def _inside(entry: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
