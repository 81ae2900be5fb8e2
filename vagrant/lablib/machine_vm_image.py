"""The virtual machine's disk: the Debian that the containers are made of, with a kernel of its own."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from kubeboot import errors
from lablib import cache, machine_image, tools
from lablib.machine_host import as_root, say

FILES = Path(__file__).parent.parent / "vm"
SCRIPTS = (FILES / "disk", machine_image.FILES / "box", machine_image.FILES / "prepare")
MKFS = "/sbin/mkfs.ext4"
"""Part of every Debian, and not on every user's PATH."""
SIZE = "24G"
"""Of the file system; the file has holes, and takes 600 MB."""


@dataclasses.dataclass(frozen=True)
class Image:
    """What a machine boots from, and the private key that lets `vagrant` in."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def key(self) -> Path:
        return self.directory / "key"


def ensure() -> Image:
    """The image in the lab's cache; made now if it is not there."""
    if os.uname().machine != "x86_64":
        raise errors.KubebootError("the lab's virtual machine is for x86_64 computers only")
    base = machine_image.base_root()
    return Image(
        cache.cached("vm", cache.key_of(base.parent.name, SIZE, *SCRIPTS), lambda to: _make(base, to))
    )


def _make(base: Path, into: Path) -> None:
    tools.need("ssh-keygen")
    say("making the virtual machine's disk")
    tools.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(into / "key")])
    root = into / "root"
    try:
        _dress(base, root, into / "key.pub")
        shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), into / "vmlinuz")
        tools.run(as_root(MKFS, "-q", "-L", "root", "-d", str(root), str(into / "disk.raw"), SIZE))
        if os.geteuid() != 0:
            tools.run(as_root("chown", str(os.geteuid()), str(into / "disk.raw")))
    finally:
        tools.run(as_root("rm", "-rf", "--one-file-system", str(root)))


def _dress(base: Path, root: Path, key: Path) -> None:
    inside = root / "lab"
    root.mkdir()
    unpack = (
        "tar",
        "--extract",
        "--numeric-owner",
        "--xattrs",
        "--directory",
        str(root),
        "--file",
        str(base),
    )
    tools.run(as_root(*unpack))
    tools.run(as_root("mkdir", str(inside)))
    tools.run(as_root("cp", *map(str, (*SCRIPTS, key)), str(inside)))
    tools.run(as_root("cp", "/etc/resolv.conf", f"{root}/etc/resolv.conf"))
    tools.run(as_root("chroot", str(root), "/lab/disk"), env={"DEBIAN_FRONTEND": "noninteractive"})
    tools.run(as_root("rm", "-rf", str(inside)))
