"""Where Debian's packages come from: as this computer's own, so that the lab works behind any mirror."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from kubeboot import errors

OVERRIDE = "KUBEBOOT_LAB_DEBIAN_MIRROR"
_SCRIPT = Path("/usr/sbin/debootstrap")
_ASK = [
    "apt-get",
    "indextargets",
    "--format",
    "$(RELEASE) $(COMPONENT) $(REPO_URI) $(ORIGIN)",
    "Created-By: Packages",
]


def archive(suite: str) -> str:
    """The archive's URL: $KUBEBOOT_LAB_DEBIAN_MIRROR, else apt's own, else debootstrap's default."""
    found = os.environ.get(OVERRIDE) or _configured(suite) or _default()
    if not found:
        raise errors.KubebootError(
            f"this computer names no mirror of Debian {suite}", hint=f"{OVERRIDE}=URL names one"
        )
    return found.rstrip("/")


def security(suite: str) -> str:
    """The URL of security updates: apt's own, else beside the archive, where Debian's own mirror has it."""
    own = "" if os.environ.get(OVERRIDE) else _configured(suite)
    return own.rstrip("/") or f"{archive(suite.removesuffix('-security'))}-security"


def _configured(suite: str) -> str:
    """What apt is configured with; empty where there is no apt, or no Debian."""
    try:
        rows = subprocess.run(_ASK, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return ""
    return chosen(rows, suite)


def chosen(rows: list[str], suite: str) -> str:
    """The URI of Debian's suite, not of another's that is called alike.

    Rows have release, component, URI and, once apt has fetched the lists, origin.
    """
    found = [row.split() for row in rows if row.startswith(f"{suite} main ")]
    ours = [row for row in found if row[3:4] == ["Debian"]] or [row for row in found if "debian" in row[2]]
    return ours[0][2] if ours else ""


def _default() -> str:
    """What debootstrap itself would ask."""
    text = _SCRIPT.read_text() if _SCRIPT.exists() else ""
    found = re.search(r'^DEF_MIRROR="([^"]+)"', text, re.MULTILINE)
    return found[1] if found else ""
