"""A process that takes a machine's lock as kubeboot does; tests let two of them at it at the same time."""

from __future__ import annotations

import sys

from kubeboot import errors
from kubeboot.fleet.run import holder
from kubeboot.host.local import LocalHost


def main(path: str) -> None:
    """For each line on stdin: try, say how it went, and hold it until the next line."""
    host = LocalHost("m")
    while sys.stdin.readline():
        try:
            with host.lock(path, holder("init")):
                host.say(path, "at step kubelet/config")
                print("ran", flush=True)
                sys.stdin.readline()
        except errors.Occupied as error:
            print(error.exit_code, error.message, flush=True)
            sys.stdin.readline()
        print("left", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
