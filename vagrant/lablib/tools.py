"""Running other programs, and having them in the first place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubeboot import errors

PACKAGES = {
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "pkg-config": "pkg-config",
    "dpkg-deb": "dpkg",
    "docker": "docker.io",
    "vagrant": "vagrant",
    "ssh-keygen": "openssh-client",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
}
_GO_HINT = "install Go 1.21 or newer from https://go.dev/dl; it gets the exact toolchain itself"


def run(argv: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; what it printed. KubebootError with its last lines if it fails."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        tail = "\n".join(output.splitlines()[-15:])
        raise errors.KubebootError(
            f"{' '.join(argv[:3])} … ended with {done.returncode}:\n{tail}", output=output
        )
    return done.stdout


def need(*programs: str) -> None:
    """Make sure that these programs are there; as root on Debian their packages are installed."""
    missing = [each for each in programs if not shutil.which(each)]
    if "go" in missing:
        raise errors.KubebootError("the lab builds Kubernetes from source and needs Go", hint=_GO_HINT)
    install(*(PACKAGES[each] for each in missing))


def install(*packages: str) -> None:
    """Install Debian packages, or say which command would."""
    if not packages:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise errors.KubebootError(
            f"missing on this machine: {', '.join(packages)}", hint=f"sudo {' '.join(command)}"
        )
    run(["apt-get", "update"])
    run(command, env={"DEBIAN_FRONTEND": "noninteractive"})
