"""Bootstrap tokens: `id.secret`, with which a machine finds the cluster and asks for its certificate."""

from __future__ import annotations

import dataclasses
import re
import secrets
import string

from kubeboot import errors

ALPHABET = string.digits + string.ascii_lowercase
SECRET_PREFIX = "bootstrap-token-"  # noqa: S105 - the name of an API object
SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105
GROUP = "system:bootstrappers:kubeadm:default-node-token"

_PATTERN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


@dataclasses.dataclass(frozen=True)
class BootstrapToken:
    """A token; its id is public, its secret is never printed (`text` is the door)."""

    id: str
    secret: str = dataclasses.field(repr=False)

    @property
    def text(self) -> str:
        """`id.secret`: pass it on, never log it."""
        return f"{self.id}.{self.secret}"

    @property
    def object_name(self) -> str:
        """The Secret in kube-system that holds it."""
        return SECRET_PREFIX + self.id

    @property
    def user(self) -> str:
        """Who its bearer is to the API."""
        return f"system:bootstrap:{self.id}"


def generate() -> BootstrapToken:
    """A new token from the system's source of randomness (83 bits of secret)."""
    return BootstrapToken(_random(6), _random(16))


def parse(text: str) -> BootstrapToken:
    """The token that `text` is, white space around it ignored. The error never shows what was given."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise errors.UsageProblem(
            f"this is not a bootstrap token: {_shape(text.strip())}",
            hint="a token is 6 characters, a dot and 16 characters, each a-z or 0-9; "
            "`kubeboot token create` on a control plane prints a new one",
            reason="KB_TOKEN_FORMAT",
        )
    return BootstrapToken(match[1], match[2])


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _shape(text: str) -> str:
    """What can be said of a malformed token without giving it away."""
    parts = text.split(".")
    if len(parts) != 2:
        return f"it has {len(parts) - 1} dots instead of 1"
    if (len(parts[0]), len(parts[1])) != (6, 16):
        return f"it has {len(parts[0])} and {len(parts[1])} characters instead of 6 and 16"
    return "it has characters other than a-z and 0-9"
