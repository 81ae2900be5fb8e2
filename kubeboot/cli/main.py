"""The console script. It imports nothing that takes time before secrets are off the process list."""

from __future__ import annotations

import sys

from kubeboot.cli import argv


def run() -> None:
    """Run this process's command line."""
    argv.blank()
    from kubeboot.cli import app, runtime

    sys.exit(app.main(sys.argv[1:], runtime.Runtime()))
