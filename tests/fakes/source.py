"""FakeSource: a small catalog of everything that kubeboot installs, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from kubeboot import errors
from kubeboot.artifacts.api import Binary, Catalog, Image
from kubeboot.steps import images, runtime

IN_PATH = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "kubelet", "kubectl")


class FakeSource:
    """Every binary's bytes are its name, its version and `salt`; `broken` files fail `verify`."""

    def __init__(self, salt: str = "") -> None:
        self.salt = salt
        self.broken: str | None = None
        self.verified = 0
        self.asked: list[str] = []

    def catalog(self) -> Catalog:
        cni = ((f"cni-{name}", f"/opt/cni/bin/{name}") for name in runtime.PLUGINS)
        paths = (*((name, f"/usr/local/bin/{name}") for name in IN_PATH), *cni)
        components = (*images.CONTROL_PLANE, "keepalived", *images.EXTRA)
        return Catalog(
            "v1.37.1", "amd64", tuple(map(self._binary, paths)), tuple(map(self._image, components))
        )

    def _binary(self, entry: tuple[str, str]) -> Binary:
        data = self._bytes(entry[0])
        return Binary(entry[0], "1.0", hashlib.sha256(data).hexdigest(), len(data), entry[1])

    def _image(self, component: str) -> Image:
        data = self._bytes(component)
        name = f"registry.k8s.io/{component}:1.0"
        return Image(component, name, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))

    def _bytes(self, name: str) -> bytes:
        return f"{name} 1.0 {self.salt}".encode()

    def binary(self, binary: Binary) -> Iterator[bytes]:
        self.asked.append(binary.name)
        yield from (self._bytes(binary.name)[:3], self._bytes(binary.name)[3:])

    def image(self, image: Image) -> Iterator[bytes]:
        self.asked.append(image.component)
        yield self._bytes(image.component)

    def identity(self) -> str:
        return f"fake {self.salt}"

    def verify(self) -> None:
        self.verified += 1
        if self.broken:
            raise errors.ConfigInvalid(f"{self.broken}: sha256 does not match", reason="KB_ARTIFACT")
