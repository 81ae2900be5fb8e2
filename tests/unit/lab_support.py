"""A lab as data, for tests that start none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lablib import machine_state
from lablib.machine_state import Lab

TOP = Path(__file__).parents[2]


def lab(name: str = "lab", control_planes: int = 1, workers: int = 1, **changes: str) -> Lab:
    """A lab with these machines, as it would be remembered."""
    made = Lab(name, "docker", str(TOP), "192.168.56.0/24", "image:1")
    machines_ = machine_state.layout(made.subnet, control_planes, workers)
    return dataclasses.replace(made, machines=machines_, **changes)
