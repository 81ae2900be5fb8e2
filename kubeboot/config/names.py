"""The syntax of names and addresses: each function says what is wrong, or None, and looks nothing up."""

from __future__ import annotations

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_LABEL_NAME = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_VARIABLE = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*\Z")
_TOKEN_ID = re.compile(r"^[a-z0-9]{6}\Z")
_REPOSITORY = re.compile(
    r"^(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)\Z"
)


def label(name: str) -> str | None:
    """One RFC 1123 label."""
    if not name:
        return "is empty"
    if _LABEL.match(name):
        return None
    if len(name) > 63:
        return "is longer than 63 characters"
    return "is not made of lower-case letters, digits and inner `-`"


def subdomain(name: str) -> str | None:
    """RFC 1123 labels with dots between them."""
    if len(name) > 253:
        return "is longer than 253 characters"
    if "." not in name:
        return label(name)
    parts = name.split(".")
    if "" in parts:
        return "begins or ends with a dot, or has two in a row"
    return next((f"has `{part}` in it, which {wrong}" for part in parts if (wrong := label(part))), None)


def label_key(key: str) -> str | None:
    """A Kubernetes label or taint key: an optional DNS prefix, a slash, a name."""
    prefix, slash, name = key.rpartition("/")
    if slash and (wrong := subdomain(prefix)):
        return f"prefix {wrong}"
    if not _LABEL_NAME.match(name):
        return "is not a key: up to 63 letters, digits, `-`, `_` and `.`, with a DNS prefix and `/` before it"
    return None


def label_value(value: str) -> str | None:
    """A Kubernetes label or taint value."""
    if _LABEL_VALUE.match(value):
        return None
    return "is not a label value: up to 63 letters, digits, `-`, `_` and `.`"


def variable(name: str) -> str | None:
    """An environment variable's name as Kubernetes accepts it."""
    return None if _VARIABLE.match(name) else "is not a variable's name"


def ip(text: str) -> Address | None:
    """The address, or None when it is none (a zone is none)."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def cidr(text: str) -> tuple[Network | None, str | None, str | None]:
    """(network, what is wrong, what to write instead) of an address range."""
    if "," in text:
        return None, "is more than one range; dual-stack is not supported", "give one IPv4 range"
    address, slash, _ = text.partition("/")
    if not slash:
        fix = f"write it as {text}/16" if ip(address) else "write it like 10.244.0.0/16"
        return None, "is not an address range", fix
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None, "is not an address range", "write it like 10.244.0.0/16"
    if str(network) != text:
        return network, "is not written as its first address and prefix length", f"write it as {network}"
    return network, None, None


def port(number: int) -> str | None:
    """A TCP port."""
    return None if 1 <= number <= 65535 else "is not between 1 and 65535"


def is_port(text: str) -> bool:
    """Whether a text is the number of a TCP port, in ASCII digits."""
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and port(int(text)) is None


def host(text: str) -> str | None:
    """An IP address or a DNS name."""
    if ip(text) is not None:
        return None
    if re.fullmatch(r"[0-9.]+", text):
        return "is not an IPv4 address"
    return subdomain(text)


def nowhere(text: str) -> str | None:
    """An address that no machine has."""
    found = ip(text)
    none = found is not None and (
        found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255"
    )
    return "is not the address of a machine" if none else None


def san(text: str) -> str | None:
    """A certificate's alternative name: an address, a DNS name, or a wildcard."""
    return "is neither an IP address nor a DNS name" if host(text.removeprefix("*.")) else None


def split_endpoint(text: str, default_port: int | None = None) -> tuple[str, int | None]:
    """`host`, `host:port` or `[v6]:port` in its parts; ValueError says what is wrong."""
    if "://" in text:
        raise ValueError(f"is a URL; write only `{text.split('://', 1)[1].split('/', 1)[0] or 'HOST:PORT'}`")
    name, number = _split(text)
    if wrong := host(name):
        raise ValueError(f"has the host `{name}`: it {wrong}")
    if number is None:
        return name, default_port
    if not re.fullmatch(r"[0-9]{1,5}", number):
        raise ValueError(f"has the port `{number}`: it is not a number")
    if wrong := port(int(number)):
        raise ValueError(f"has the port {number}: it {wrong}")
    return name, int(number)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if (
            not bracket
            or (rest and not rest.startswith(":"))
            or not isinstance(ip(name), ipaddress.IPv6Address)
        ):
            raise ValueError("is not `[IPv6 address]:port`")
        return name, rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError(f"is an IPv6 address without brackets; write `[{text}]:8443`")
    name, colon, number = text.partition(":")
    return name, number if colon else None


def token_id(text: str) -> str | None:
    """The public part of a bootstrap token."""
    return None if _TOKEN_ID.match(text) else "is not a token's id: 6 lower-case letters or digits"


def repository(text: str) -> tuple[str | None, str | None]:
    """(what is wrong, what to write instead) of an image repository's prefix."""
    if "://" in text:
        return "is a URL", f"write it as `{text.split('://', 1)[1].rstrip('/')}`"
    if text.endswith("/"):
        return "ends with a slash", f"write it as `{text.rstrip('/')}`"
    if not _REPOSITORY.match(text):
        return "is not a repository", "write it like registry.example.org:5000/k8s, without a tag"
    return None, None


def absolute(text: str) -> str | None:
    """A path that means the same wherever it is read."""
    if not text.startswith("/"):
        return "is not an absolute path"
    if "\0" in text or "\n" in text:
        return "holds a character that no path here may have"
    return "goes up with `..`" if ".." in text.split("/") else None
