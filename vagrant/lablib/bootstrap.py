"""Python itself: the lab runs in the checkout's virtual environment, which is made on first use.

Standard library only: nothing else is there yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)
LOCK = "requirements-dev.lock"


def enter(checkout: Path) -> None:
    """Go on as the environment's Python; returns only when it is that already."""
    home = checkout / ".venv"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    make(checkout, home)
    python = str(home / "bin/python")
    os.execv(python, [python, *sys.argv])  # noqa: S606 - our own script again


def make(checkout: Path, home: Path) -> None:
    """The environment, unless it is there; a half-made one is made again."""
    complete = home / "bin/kubeboot"
    if complete.exists():
        return
    if sys.version_info < MINIMUM:
        sys.exit(f"error: the lab needs Python {'.'.join(map(str, MINIMUM))} or newer")
    print(f"making {home} (once) …", file=sys.stderr)
    python = str(home / "bin/python")
    for argv in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(checkout / LOCK)],
        [python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(checkout)],
    ):
        if subprocess.run(argv, check=False).returncode:
            sys.exit("error: cannot make it; on Debian: apt-get install python3-venv")
