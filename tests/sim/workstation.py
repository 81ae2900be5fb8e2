"""A workstation, as a process: at each word on stdin it wants the fleet, and says whether it has it.

Arguments: the file with ssh's configuration, the machine, the clock's error in seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kubeboot import errors
from kubeboot.engine import journal
from kubeboot.fleet import locking
from kubeboot.fleet.reach import Reached
from kubeboot.host.facts import Facts
from kubeboot.host.ssh.host import SshHost
from kubeboot.inventory.model import Machine


def main(config: str, name: str, wrong_by: str, lock: str) -> None:
    real = time.time
    time.time = lambda: real() + float(wrong_by)
    journal.LOCK = lock  # the machine is this computer, whose own lock is none of a test's business
    host = SshHost.from_ssh_config(Path(config).read_text(), name)
    lead = Reached(Machine(name, frozenset({"control_plane"})), host, Facts(name))
    for _ in sys.stdin:
        try:
            with locking.locked(lead, "up"):
                say("mine")
                sys.stdin.readline()
        except errors.Occupied as error:
            say(f"taken {error.message}")
        else:
            say("done")
    host.close()


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
