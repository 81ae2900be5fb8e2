"""The computer that the lab runs on: its Docker daemon, and the kernel that machines share."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from kubeboot import errors
from lablib import machine_state, tools

SYSCTLS = {  # one kernel counts for all machines; the default of 128 instances feeds only two kubelets
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
}
SYSTEMD = Path("/run/systemd/system")
MODULES = ("br_netfilter", "overlay", "nf_tables", "nf_conntrack", "vxlan")


def say(message: str) -> None:
    """Progress for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def succeeds(argv: Sequence[str]) -> bool:
    """Whether the command ends with status 0."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def as_root(*argv: str) -> list[str]:
    """The command, with sudo where the user is not root."""
    return list(argv) if os.geteuid() == 0 else ["sudo", *argv]


def prepare_kernel() -> None:
    """Modules and limits that belong to the one kernel that all docker machines share."""
    for module in MODULES:
        if shutil.which("modprobe") and Path("/lib/modules", os.uname().release).is_dir():
            succeeds(as_root("modprobe", module))
    for key, wanted in SYSCTLS.items():
        path = Path("/proc/sys", key.replace(".", "/"))
        if path.exists() and int(path.read_text()) < wanted:
            tools.run(as_root("sh", "-c", f"echo {wanted} >{path}"))


def ensure_docker() -> None:
    """A Docker daemon that answers; one that had to be started here is remembered for stop_docker()."""
    with machine_state.locked(machine_state.DOCKER, wait=True):
        if docker_answers():
            return
        if SYSTEMD.is_dir():
            say("starting docker.service")
            tools.run(as_root("systemctl", "start", "docker"))
        else:
            _start_dockerd()
        until(docker_answers, "docker to answer", 60, f"see {machine_state.root()}/dockerd.log")


def docker_answers() -> bool:
    """Whether there is a Docker daemon that we may use."""
    return succeeds(["docker", "version"])


def docker_in_use() -> AbstractContextManager[None]:
    """While this is held, stop_docker() leaves the daemon alone."""
    return machine_state.locked(machine_state.DOCKER_USE, wait=True, shared=True)


def _start_dockerd() -> None:
    say("starting dockerd")
    root = machine_state.root()
    root.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    argv = as_root("env", f"PATH={path}", "dockerd", "--storage-driver=overlay2")
    with (root / "dockerd.log").open("ab") as log:
        # it outlives us, so it must not hold what our caller holds open: a lock would never be free again
        daemon = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True
        )
    pid = daemon.pid
    daemon.returncode = 0  # nobody waits for it; without this Python warns about that
    (root / "dockerd.pid").write_text(f"{pid} {started(pid)}\n")


def stop_docker() -> None:
    """End the daemon that ensure_docker() started, if it is still there and nobody uses it."""
    remembered = machine_state.root() / "dockerd.pid"
    if not remembered.exists():
        return
    pid, began = remembered.read_text().split()
    with contextlib.suppress(errors.Occupied), machine_state.locked(machine_state.DOCKER_USE):
        if started(int(pid)) == began:
            if tools.run(["docker", "ps", "--quiet"]).strip():
                return
            say("stopping dockerd")
            tools.run(as_root("kill", "-TERM", pid))
            until(lambda: started(int(pid)) != began, "dockerd to end", 30)
        remembered.unlink()


def started(pid: int) -> str:
    """When a process started, in clock ticks: with the pid, its identity. Empty if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def until(condition: Callable[[], bool], what: str, seconds: float, hint: str = "") -> None:
    """Look until it is so; TimedOut after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise errors.TimedOut(f"waited {seconds:.0f} s for {what}", hint=hint)
        time.sleep(0.2)
