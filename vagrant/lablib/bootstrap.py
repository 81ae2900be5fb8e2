"""Python itself: the lab runs in the project's one virtual environment, which `.ci/venv` makes on first use.

Standard library only: nothing else is there yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def enter(checkout: Path) -> None:
    """Go on as the environment's Python; returns only when it is that already."""
    made = subprocess.run([checkout / ".ci/venv"], stdout=subprocess.PIPE, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    home = Path(made.stdout.decode().strip())
    if Path(sys.prefix).resolve() == home.resolve():
        return
    python = str(home / "bin/python")
    os.execv(python, [python, *sys.argv])  # noqa: S606 - our own script again
