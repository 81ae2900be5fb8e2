"""User names and passwords of registries, from a file as `docker login` and `podman login` write it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from kubeboot import errors, inputs

DOCKER_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")

UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, binascii.Error)


@dataclasses.dataclass(frozen=True)
class Credentials:
    """`user:password` by host (and port)."""

    table: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def basic(self, host: str) -> str | None:
        """The value of an Authorization header; None for a registry that nobody logged in to."""
        found = self.table.get(host)
        return "Basic " + base64.b64encode(found.encode()).decode() if found is not None else None


def read(path: str) -> Credentials:
    """ConfigInvalid (KB_CREDENTIALS) when the file cannot be used; it never says what is in it."""
    file = Path(path)
    try:
        if file.stat().st_mode & 0o007:
            raise _refused(path, "can be read by everybody", f"chmod 600 {path}")
        return parse(inputs.read(file, 1 << 20))
    except OSError as error:
        raise _refused(path, f"cannot be read: {(error.strerror or '').lower()}") from None
    except UNREADABLE:
        hint = "write it with `docker login` or `podman login --authfile`"
        raise _refused(path, "is not a file of registry credentials", hint) from None


def parse(data: bytes) -> Credentials:
    """From the file's bytes; UNREADABLE when they are none."""
    table: dict[str, str] = {}
    for name, entry in json.loads(data)["auths"].items():
        text = base64.b64decode(entry["auth"], validate=True).decode() if "auth" in entry else None
        if text is None and "username" in entry:
            text = f"{entry['username']}:{entry['password']}"
        if text is not None:
            table |= dict.fromkeys(_hosts(name), text)
    return Credentials(table)


def _hosts(name: str) -> tuple[str, ...]:
    if name in DOCKER_HUB:
        return DOCKER_HUB
    return (name.removeprefix("https://").removeprefix("http://").split("/")[0],)


def _refused(path: str, why: str, hint: str | None = None) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(f"credentials {path}: {why}", hint=hint, reason="KB_CREDENTIALS")
