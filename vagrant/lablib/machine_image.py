"""The machine image: a Debian root that boots systemd in a container and looks like a Vagrant box."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from kubeboot import errors
from lablib import cache, debian_mirror, machine_host, tools
from lablib.machine_host import as_root, say

SUITE = os.environ.get("KUBEBOOT_LAB_SUITE", "bookworm")
"""Which Debian the machines are: `trixie` is 13."""
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "mount",
    "procps",
    "iproute2",
    "iputils-ping",
    "openssh-server",
    "sudo",
    "ca-certificates",
    "curl",
    "python3",
    "iptables",
    "nftables",
    "conntrack",
    "ipset",
    "socat",
    "ethtool",
)
LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
FILES = Path(__file__).parent.parent / "machine"


def ensure() -> str:
    """The image's name in the local Docker; made now if it is not there."""
    base = f"kubeboot-lab/debian:{_base_key()}"
    name = f"kubeboot-lab/machine:{cache.key_of(base, *sorted(FILES.iterdir()))}"
    if machine_host.succeeds(["docker", "image", "inspect", name]):
        return name
    if not machine_host.succeeds(["docker", "image", "inspect", base]):
        tools.run(["docker", "import", str(base_root()), base])
    say("dressing Debian as a Vagrant box")
    tools.run(["docker", "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", name, str(FILES)])
    return name


def base_root() -> Path:
    """Debian as debootstrap makes it, as a tar archive in the cache; made now if it is not there."""
    return cache.cached("machine", _base_key(), build_base) / "root.tar"


def build_base(into: Path) -> None:
    """Fill a directory with root.tar, Debian with the packages that a machine starts with."""
    tools.need("debootstrap")
    started = time.monotonic()
    say("making the machines' Debian with debootstrap: about a minute, once")
    root = into / "root"
    try:
        _debootstrap(root)
        tar = [
            "tar",
            "--create",
            "--numeric-owner",
            "--xattrs",
            "--one-file-system",
            "--directory",
            str(root),
        ]
        no = [f"--exclude=./{path}/*" for path in LEFT_OUT]
        tools.run(as_root(*tar, *no, "--file", str(into / "root.tar"), "."))
    finally:
        tools.run(as_root("rm", "-rf", "--one-file-system", str(root)))
    say(f"made the machines' Debian in {time.monotonic() - started:.0f} s")


def _base_key() -> str:
    return cache.key_of(SUITE, PACKAGES, LEFT_OUT)


def _debootstrap(root: Path) -> None:
    mirror = debian_mirror.archive(SUITE)
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv = as_root("debootstrap", *options, SUITE, str(root), mirror)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        log = root / "debootstrap" / "debootstrap.log"
        said = done.stdout + (log.read_bytes() if log.exists() else b"")
        tail = "\n  ".join(said.decode(errors="replace").splitlines()[-15:])
        raise errors.KubebootError(
            f"debootstrap from {mirror} failed:\n  {tail}",
            hint=f"{debian_mirror.OVERRIDE} names another mirror",
        )
