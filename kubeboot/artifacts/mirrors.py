"""Every host name is replaceable: where a URL or an image is really asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

DOCKER = "docker.io"
DOCKER_API = "registry-1.docker.io"


@dataclasses.dataclass(frozen=True)
class Reference:
    """An image's name in its parts: `registry.k8s.io`, `coredns/coredns`, `v1.14.6`."""

    host: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> Reference:
        """A full name, with its registry and tag; ValueError for anything less."""
        rest, colon, tag = name.rpartition(":")
        host, slash, repository = rest.partition("/")
        if not (colon and tag and slash and repository) or "/" in tag or "@" in name:
            raise ValueError(f"`{name}` is not a full image name: registry/repository:tag")
        return cls(host, repository, tag)


@dataclasses.dataclass(frozen=True)
class Mirrors:
    """By the beginning of a URL (`https://dl.k8s.io`), what is asked instead, in order.

    What has a mirror is not asked itself, unless it is among its own mirrors. An image's registry is
    `https://` and its host.
    """

    table: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def urls(self, url: str) -> tuple[str, ...]:
        """Where a file is asked for, first choice first."""
        prefix = self._prefix(url)
        if prefix is None:
            return (url,)
        return tuple(instead.rstrip("/") + url[len(prefix.rstrip("/")) :] for instead in self.table[prefix])

    def repositories(self, reference: Reference) -> tuple[str, ...]:
        """The API's addresses of an image's repository: `https://registry.k8s.io/v2/pause`."""
        url = f"https://{reference.host}/{reference.repository}"
        return tuple(map(api, self.urls(url)))

    def _prefix(self, url: str) -> str | None:
        """The longest entry that the URL begins with, at the end of a part of its path."""
        found = [p for p in self.table if f"{url}/".startswith(f"{p.rstrip('/')}/")]
        return max(found, key=len, default=None)


def api(url: str) -> str:
    """The registry API's address of a repository or a prefix: `https://r.io/pause` → `https://r.io/v2/pause`."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    server = DOCKER_API if host == DOCKER else host
    inside = path if f"{path}/".startswith("v2/") else f"v2/{path}"
    return f"{scheme}://{server}/{inside}"
