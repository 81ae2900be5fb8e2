"""Python itself: the lab runs in the project's one virtual environment, which `.ci/venv` makes on first use.

Standard library only: nothing else is there yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENTERED = "KUBEBOOT_VENV"
"""What is started from here does not look for the environment again: the checkout, and the environment."""


def enter(checkout: Path) -> None:
    """Go on as the environment's Python; returns only when it is that already."""
    where, _, known = os.environ.get(ENTERED, "").partition("=")
    home = Path(known) if where == str(checkout) else _made(checkout)
    os.environ[ENTERED] = f"{checkout}={home}"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    python = str(home / "bin/python")
    os.execv(python, [python, *sys.argv])  # noqa: S606 - our own script again


def _made(checkout: Path) -> Path:
    made = subprocess.run([checkout / ".ci/venv"], stdout=subprocess.PIPE, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    return Path(made.stdout.decode().strip())
