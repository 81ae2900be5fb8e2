"""A fleet with nothing to do beside ansible-core, one machine more, and a thousand simulated machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from tests.bench import fleet_lab, fleet_simulated


def main(argv: Sequence[str]) -> int:
    """0 when every bar holds that was measured."""
    parser = argparse.ArgumentParser(prog="tests/bench/fleet", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, default=3, help="how often each thing is measured")
    parser.add_argument("--workers", type=int, default=9, help="machines of the lab beside the control plane")
    parser.add_argument("--simulated", type=int, metavar="N", help="so many simulated machines instead")
    parser.add_argument("--dead", type=int, help="of them; default: one in twenty")
    parser.add_argument("--latest", type=float, default=2.0, help="seconds that their answers take at most")
    given = parser.parse_args(argv)
    if given.simulated:
        dead = given.simulated // 20 if given.dead is None else given.dead
        found: dict[str, Any] = fleet_simulated.measure(given.simulated, dead, given.latest)
        print(fleet_simulated.told(found))
    else:
        found = fleet_lab.measure(given.workers, given.samples)
        print(fleet_lab.told(found))
    print(json.dumps(found))
    return 0 if all(found["held"].values()) else 1
