"""Who writes on the machines of the host contract, and what."""

from __future__ import annotations

import os

OWNER = f"{os.getuid()}:{os.getgid()}"
BYTES = bytes(range(256)) * 3
