"""Python itself: the lab runs in the checkout's virtual environment, which is made on first use.

Standard library only: nothing else is there yet.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from kubeboot import errors
from lablib import tools

MINIMUM = (3, 11)
LOCK = "requirements-dev.lock"


def enter(checkout: Path) -> None:
    """Go on as the environment's Python; returns only when it is that already."""
    home = checkout / ".venv"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    try:
        make(checkout, home)
    except errors.KubebootError as error:
        sys.exit(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
    python = str(home / "bin/python")
    os.execv(python, [python, *sys.argv])  # noqa: S606 - our own script again


def make(checkout: Path, home: Path) -> None:
    """The environment, unless it is complete: the last command makes bin/kubeboot."""
    if (home / "bin/kubeboot").exists():
        return
    if sys.version_info < MINIMUM:
        raise errors.KubebootError(f"the lab needs Python {'.'.join(map(str, MINIMUM))} or newer")
    if importlib.util.find_spec("ensurepip") is None:
        tools.install("python3-venv")
    print(f"making {home}, once …", file=sys.stderr)
    for command in commands(checkout, home):
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if done.returncode:
            raise errors.KubebootError(f"cannot make {home}: `{' '.join(command)}` failed")


def commands(checkout: Path, home: Path) -> list[list[str]]:
    """How it is made: exactly what the lock lists, and this checkout itself."""
    pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [*pip, "--require-hashes", "-r", str(checkout / LOCK)],
        [*pip, "--no-deps", "-e", str(checkout)],
    ]
