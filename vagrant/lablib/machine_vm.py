"""A lab of one virtual machine: a kernel, modules, swap and a clock of its own, which containers do not have.

QEMU runs it, with KVM where that boots a guest, else by translation (TCG), which takes ten times as long.
No root, no bridge: QEMU's own user network is both NICs, as on a VM of Vagrant's: NAT, then the cluster's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

from kubeboot import errors
from lablib import machine_host, machine_vagrant, machine_vm_image, tools
from lablib.machine_host import say
from lablib.machine_state import Lab, Machine
from lablib.machine_vm_image import Image

QEMU = "qemu-system-x86_64"
MEMORY, CPUS = "4096", "2"
SERIAL = "serial.log"
ANSWERS = 600.0
"""Seconds until SSH answers; 25 on an idle computer without KVM."""
_PID, _MONITOR, _DISK, _SHARE = "qemu.pid", "monitor", "disk.qcow2", "share.raw"
_KERNEL = "root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0"
_ACCELERATED = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    "tcg": ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"),
}
_SSH_CONFIG = """\
Host {name}
  HostName 127.0.0.1
  User vagrant
  Port {port}
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile {key}
  IdentitiesOnly yes
  LogLevel FATAL
"""


def boot(lab: Lab) -> None:
    """Start the machine, unless it runs, and wait until SSH answers. Its disk outlives a stop."""
    if running(lab):
        return
    tools.need(QEMU, "qemu-img")
    started, image, [machine] = time.monotonic(), machine_vm_image.ensure(), lab.machines
    kind = accelerator(image)
    _make_disks(lab, image)
    tools.run(command(lab, machine, image, kind))
    pid = (lab.directory / _PID).read_text().strip()
    (lab.directory / _PID).write_text(f"{pid} {machine_host.started(int(pid))}\n")
    config = _SSH_CONFIG.format(name=machine.name, port=_forwarded(lab), key=image.key)
    lab.ssh_config.write_text(config)
    _await_ssh(lab, machine.name)
    say(f"  {machine.name} ({kind}) answers after {time.monotonic() - started:.1f} s")


def stop(lab: Lab) -> None:
    """End the machine's QEMU, as if its power were cut; nothing where it does not run."""
    if not running(lab):
        return
    pid, began = _process(lab)
    os.kill(pid, signal.SIGTERM)
    machine_host.until(lambda: machine_host.started(pid) != began, "QEMU to end", 30)


def running(lab: Lab) -> bool:
    """Whether the QEMU that was started for this lab is still there."""
    pid, began = _process(lab)
    return bool(began) and machine_host.started(pid) == began


def _process(lab: Lab) -> tuple[int, str]:
    """The id and start time of its QEMU; an empty time where it never was complete."""
    with contextlib.suppress(OSError, ValueError):
        pid, _, began = (lab.directory / _PID).read_text().strip().partition(" ")
        return int(pid), began
    return 0, ""


def accelerator(image: Image) -> str:
    """ "kvm" where a kernel gets as far as to miss its root file system with it, else "tcg"."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    argv = [QEMU, *_ACCELERATED["kvm"], "-m", "512", "-display", "none", "-no-reboot", "-serial", "stdio"]
    argv += ["-monitor", "none", "-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if b"Unable to mount root fs" in done.stdout else "tcg"


def command(lab: Lab, machine: Machine, image: Image, kind: str) -> list[str]:
    """QEMU's command line; it puts itself into the background once the machine has been set up."""
    home = lab.directory
    return [
        QEMU, "-machine", "q35", *_ACCELERATED[kind], "-smp", CPUS, "-m", MEMORY,
        "-nodefaults", "-no-user-config", "-display", "none", "-daemonize", "-pidfile", f"{home}/{_PID}",
        "-serial", f"file:{home}/{SERIAL}", "-qmp", f"unix:{home}/{_MONITOR},server=on,wait=off",
        "-kernel", str(image.kernel), "-append", f"{_KERNEL} systemd.hostname={machine.name}",
        *_disk("disk", f"file={home}/{_DISK},format=qcow2,cache=unsafe"),
        *_disk("share", f"file={home}/{_SHARE},format=raw,readonly=on"),
        # QEMU takes a free port for 0, so that no two labs can choose the same
        *_nic("nat", "hostfwd=tcp:127.0.0.1:0-:22"),
        *_nic("cluster", f"net={lab.subnet},dhcpstart={machine.address},restrict=on"),
    ]  # fmt: skip


def _disk(name: str, options: str) -> list[str]:
    return ["-drive", f"if=none,id={name},{options}", "-device", f"nvme,drive={name},serial={name}"]


def _nic(name: str, options: str) -> list[str]:
    return ["-netdev", f"user,id={name},ipv6=off,{options}", "-device", f"virtio-net-pci,netdev={name}"]


def _make_disks(lab: Lab, image: Image) -> None:
    """The machine's own disk, what it writes beside the image; and the share, anew each time."""
    disk, share, home = lab.directory / _DISK, lab.directory / _SHARE, lab.directory / "share"
    if not disk.exists():
        backing = ("-b", str(image.disk), "-F", "raw")
        tools.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk)])
    share.unlink(missing_ok=True)
    size = sum(path.lstat().st_size // 4096 + 1 for path in home.rglob("*")) * 5 + (64 << 10)
    without = "^has_journal,^resize_inode"
    tools.run(
        [machine_vm_image.MKFS, "-q", "-L", "share", "-O", without, "-d", str(home), str(share), f"{size}k"]
    )


def _forwarded(lab: Lab) -> int:
    """The port that leads to the machine's SSH."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(lab.directory / _MONITOR))
        lines = monitor.makefile("rw")
        for question in ({"execute": "qmp_capabilities"}, _human("info usernet")):
            print(json.dumps(question), file=lines, flush=True)
        answers = (json.loads(line) for line in lines)
        told = next(str(a["return"]) for a in answers if a.get("return"))
    return int(next(row.split()[3] for row in told.splitlines() if "HOST_FORWARD" in row))


def _human(line: str) -> object:
    return {"execute": "human-monitor-command", "arguments": {"command-line": line}}


def _await_ssh(lab: Lab, name: str) -> None:
    end, last = time.monotonic() + ANSWERS, "nothing"
    while time.monotonic() < end:
        if not running(lab):
            raise errors.KubebootError(f"QEMU has ended\n{_last_words(lab)}")
        try:
            with contextlib.closing(machine_vagrant.connect(lab, name)) as host:
                host.stat("/")
                return
        except errors.KubebootError as error:
            last = error.message
        time.sleep(1)
    raise errors.TimedOut(f"waited {ANSWERS:.0f} s for SSH: {last}\n{_last_words(lab)}")


def _last_words(lab: Lab) -> str:
    """Of its console: a lab that does not come up is removed, and the log with it."""
    lines = (lab.directory / SERIAL).read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-25:])
