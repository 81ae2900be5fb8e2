"""Image layers and configs: the same definition and files give the same bytes."""

from __future__ import annotations

import dataclasses
import io
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kubeboot.artifacts import oci
from lablib import build_files, lock

_CAPABILITY_HEADER = "SCHILY.xattr.security.capability"
_CAPABILITIES = {"cap_net_bind_service": 10}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Node:
    """An entry of a layer. `content`: a directory (None), a file (path or bytes), a link's target (str)."""

    content: Path | bytes | str | None
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    capability: str = ""


def nodes(
    layer: lock.Layer, root: build_files.Root, executables: Mapping[str, Path], below: frozenset[str]
) -> Mapping[str, Node]:
    """A layer's entries by absolute path, less the Debian files that the layers below have."""
    found = {path: _debian(root.real(path)) for path in root.closure(layer.debian) - below}
    found |= {path: Node(None, int(mode, 8)) for path, mode in layer.directories.items()}
    found |= {f"/usr/bin/{name}": Node("busybox", 0o777) for name in layer.applets}
    found |= {path: Node(target, 0o777) for path, target in layer.links.items()}
    found |= {path: Node(text.encode()) for path, text in layer.text.items()}
    found |= {path: Node(text.encode(), 0o755) for path, text in layer.scripts.items()}
    found |= {path: Node(_joined(root, pattern)) for path, pattern in layer.concat.items()}
    found |= {path: Node(executables[name], 0o755) for name, path in layer.binaries.items()}
    for path, owner in layer.owners.items():
        uid, gid = map(int, owner.split(":"))
        found[path] = dataclasses.replace(found[path], owner=(uid, gid))
    for path, capability in layer.capabilities.items():
        found[path] = dataclasses.replace(found[path], capability=capability)
    return found


def write(target: Path, entries: Mapping[str, Node]) -> None:
    """The layer as an uncompressed tar."""
    every = {parent: Node(None, 0o755) for path in entries for parent in _parents(path)} | dict(entries)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(every):
            _add(tar, path, every[path])


def config(image: lock.Image, arch: str, layers: tuple[str, ...]) -> bytes:
    """An image's config; `layers` are the digests of its uncompressed layers, lowest first."""
    run = {
        "Env": [f"PATH={':'.join(filter(None, (image.path, _PATH)))}"],
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.command),
        "User": image.user,
        "WorkingDir": image.workdir,
        "StopSignal": image.stop_signal,
        "ExposedPorts": {port: {} for port in image.ports},
    }
    return oci.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {key: value for key, value in run.items() if value},
            "rootfs": {"type": "layers", "diff_ids": list(layers)},
        }
    )


def _debian(real: Path) -> Node:
    if real.is_symlink():
        return Node(str(real.readlink()), 0o777)
    mode = real.stat().st_mode
    return Node(None if real.is_dir() else real, stat.S_IMODE(mode))


def _joined(root: build_files.Root, pattern: str) -> bytes:
    return b"".join(root.real(path).read_bytes() for path in root.matching([pattern]))


def _parents(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")[:-1]
    return ("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))


def _add(tar: tarfile.TarFile, path: str, node: Node) -> None:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode, info.mtime = node.mode, 0
    info.uid, info.gid = node.owner
    if node.capability:
        info.pax_headers = {_CAPABILITY_HEADER: _capability(node.capability)}
    if isinstance(node.content, Path):
        info.size = node.content.stat().st_size
        with node.content.open("rb") as file:
            tar.addfile(info, file)
    elif isinstance(node.content, bytes):
        info.size = len(node.content)
        tar.addfile(info, io.BytesIO(node.content))
    else:
        info.type = tarfile.DIRTYPE if node.content is None else tarfile.SYMTYPE
        info.linkname = node.content or ""
        tar.addfile(info)


def _capability(name: str) -> str:
    """The kernel's form of "permitted and effective": version 2, two words for each set."""
    permitted = 1 << _CAPABILITIES[name]
    words = (0x02000001, permitted, 0, 0, 0)
    return b"".join(word.to_bytes(4, "little") for word in words).decode("ascii")
