"""The console script. It imports nothing that takes time before secrets are off the process list."""

from __future__ import annotations

import gc
import sys

from kubeboot.cli import argv


def run() -> None:
    """Run this process's command line."""
    argv.blank()
    from kubeboot.cli import app, runtime

    code = app.main(sys.argv[1:], runtime.Runtime())
    gc.freeze()  # to look through what goes with the process anyway takes up to 0.2 s
    sys.exit(code)
