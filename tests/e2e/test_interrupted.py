"""What else ends a run: Ctrl-C, a full disk, an API server that goes, a power cut; and drift when none runs.

After each of them the same command makes what a clean run makes (tests/e2e/picture.py).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.e2e import killing
from tests.e2e.harness import Done, Lab, Machine, difference, members, snapshot
from tests.e2e.killing import Trial
from tests.e2e.picture import picture

pytestmark = [pytest.mark.cluster, pytest.mark.long]
INIT = ("kubeboot", "init")
SMALL_DISK = ("--ignore-preflight-errors", "DiskSpace-var-lib-containerd")
ETCD = "/etc/kubernetes/manifests/etcd.yaml"
MEANWHILE = """
there=$1 evil=$2; shift 2
"$@" >/root/out 2>/root/err & pid=$!
until [ -e "$there" ] || ! kill -0 $pid; do sleep 0.02; done
eval "$evil"
wait $pid; code=$?; cat /root/err >&2; rm -f /root/out /root/err; exit $code
"""
"""Run a command, and do something to it once a file is there."""
SERVES = "until curl -sk https://127.0.0.1:6443/readyz | grep -q ok; do sleep 0.1; done"
STALE = """
cd /etc/systemd/system/kubelet.service.d && file=$(grep -l KUBEBOOT_INPUTS *) && cp -p "$file" /root/kept
sed -i 's/KUBEBOOT_INPUTS=.*/KUBEBOOT_INPUTS=old/' "$file"
systemctl daemon-reload && systemctl restart kubelet
cp -p /root/kept "$file" && rm /root/kept && systemctl daemon-reload
"""
"""The kubelet runs with what it was told before its files were as they are."""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(2, 0, lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    return lab["cp-1"]


@pytest.fixture(scope="module")
def clean(cp: Machine) -> Trial:
    return Trial.clean(cp, INIT, cp, lambda: None)


@pytest.fixture
def first(clean: Trial) -> Iterator[Trial]:
    """The next test finds the machine as it was, whatever has become of this one."""
    yield clean
    clean.machine.run(*killing.RESET, check=False)


def meanwhile(machine: Machine, there: str, evil: str, *command: str) -> Done:
    done = machine.run("sh", "-c", MEANWHILE, "sh", there, evil, *command, check=False)
    assert "Traceback" not in done.err, done.err
    return done


def test_ctrl_c_once_ends_what_is_being_done_and_says_how_to_go_on(first: Trial) -> None:
    done = meanwhile(first.machine, ETCD, "kill -INT $pid", *INIT)
    assert done.code == 130, done.err
    assert "stopping after the current steps" in done.err
    assert "run the same command again" in done.err
    first.again()
    first.back()


def test_a_second_init_at_the_same_time_is_told_who_and_where(first: Trial) -> None:
    other = "kubeboot init 2>/root/other; echo $? >>/root/other"
    done = meanwhile(first.machine, ETCD, other, *INIT)
    *said, code = first.machine.run("sh", "-c", "cat /root/other; rm /root/other").out.splitlines()
    assert (done.code, code) == (0, "7"), said
    told = r"cp-1 is being changed by root@cp-1 pid \d+ since [\d:]+: kubeboot init, at step \S+"
    assert re.search(told, "\n".join(said)), said
    first.again()
    first.back()


def test_ctrl_c_twice_ends_it_at_once(first: Trial) -> None:
    done = meanwhile(first.machine, ETCD, "kill -INT $pid; sleep 0.3; kill -INT $pid", *INIT)
    assert done.code == 130, done.err
    first.again()
    first.back()


@pytest.mark.parametrize(
    ("point", "small", "large"),
    [
        ("/var/lib/containerd", "300m", "5g"),
        ("/etc/kubernetes", "64k", "16m"),
        ("/var/lib/kubeboot", "12k", "16m"),
    ],
)
def test_a_disk_that_fills_up(first: Trial, point: str, small: str, large: str) -> None:
    cp = first.machine
    with mounted(cp, point, small):
        bare = snapshot(cp)
        done = cp.run(*INIT, *SMALL_DISK, check=False)
        assert done.code not in (0, 130), done.err
        assert "no space left on device" in done.err.lower(), done.err
        assert "Traceback" not in done.err, done.err
        cp.run("mount", "-o", f"remount,size={large}", point)
        cp.run(*INIT)
        killing.nothing_to_do(cp, INIT)
        assert first.differs(apart=point) == []
        cp.run(*killing.RESET)
        assert difference(bare, snapshot(cp)) == []
    first.back()


@contextmanager
def mounted(machine: Machine, point: str, size: str) -> Iterator[None]:
    """A small disk of its own, until the machine has been reset."""
    there = machine.run("test", "-d", point, check=False).code == 0
    machine.run("mkdir", "-p", point)
    machine.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "full", point)
    try:
        yield
    finally:
        machine.run(*killing.RESET, check=False)
        machine.run("umount", point)
        if not there:
            machine.run("rmdir", point)


def test_an_api_server_that_dies_in_the_middle(first: Trial) -> None:
    meanwhile(first.machine, ETCD, f"{SERVES}; pkill -9 -x kube-apiserver", *INIT)
    first.again()
    first.back()


def test_a_power_cut(lab: Lab, first: Trial) -> None:
    cut = subprocess.Popen(
        ("docker", "exec", container(lab, first.machine), *INIT), stderr=subprocess.DEVNULL
    )
    first.machine.run("sh", "-c", f"until [ -e {ETCD} ]; do sleep 0.02; done")
    power(lab, first.machine, "kill")
    assert cut.wait(60) != 0
    power(lab, first.machine, "start")
    first.again()
    first.back()


def container(lab: Lab, machine: Machine) -> str:
    return f"kubeboot-{lab.name}-{machine.name}"


def power(lab: Lab, machine: Machine, verb: str) -> None:
    """Off or on; on until it answers."""
    subprocess.run(("docker", verb, container(lab, machine)), check=True, stdout=subprocess.DEVNULL)
    if verb == "start":
        inside = ("docker", "exec", container(lab, machine), "systemctl", "is-system-running", "--wait")
        subprocess.run(inside, check=False, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def further(lab: Lab, cp: Machine, clean: Trial) -> Trial:
    """A control plane that has joined, and what a clean join was."""
    command = cp.run(*INIT, "--upload-certs").out.splitlines()[1].split()

    def alone() -> None:
        assert members(cp) == {"cp-1": True}

    made = Trial.clean(lab["cp-2"], command, cp, alone)
    made.machine.run(*command)
    return made


DAMAGE = (
    ("sed -i s/--leader-elect=true/--leader-elect=false/ /etc/kubernetes/manifests/kube-scheduler.yaml",
     "kube-scheduler"),
    ("rm /etc/kubernetes/haproxy/haproxy.cfg", "haproxy.cfg"),
    ("echo '# by hand' >> /etc/kubernetes/haproxy/haproxy.base.cfg", "haproxy.base.cfg"),
    ("sed -i '/ server /s/$/ disabled/' /etc/kubernetes/haproxy/haproxy.cfg", "haproxy.cfg"),
    ("sed -i s/=30s/=1d/ /etc/systemd/system/kubeboot-backends.timer; systemctl daemon-reload",
     "kubeboot-backends.timer"),
    ("rm /etc/kubernetes/pki/apiserver.crt", "apiserver"),
    ("chmod 644 /etc/kubernetes/pki/ca.key", "pki/ca"),
    ("systemctl disable --now kubeboot-backends.timer", "kubeboot-backends.timer"),
    ("systemctl stop kubelet", "kubelet"),
    (STALE, "kubelet"),
)  # fmt: skip


@pytest.mark.parametrize(("damage", "shown"), DAMAGE)
def test_drift_of_a_joined_control_plane_is_shown_and_repaired(
    further: Trial, damage: str, shown: str
) -> None:
    machine = further.machine
    machine.run("sh", "-ec", damage)
    done = machine.run(*further.argv, "--dry-run", check=False)
    assert "nothing would change" not in done.err
    lines = (done.out + done.err).splitlines()
    assert any(shown in line and line.strip()[:1] in "+~" for line in lines), lines
    further.again()


def test_a_second_join_of_a_control_plane_touches_nothing(further: Trial) -> None:
    machine = further.machine
    state = picture(machine, further.cp)
    pids = machine.run("pgrep", "-x", "kubelet|containerd|haproxy|etcd|kube-.*").out
    began = time.monotonic()
    machine.run(*further.argv)
    seconds = time.monotonic() - began
    assert machine.run("pgrep", "-x", "kubelet|containerd|haproxy|etcd|kube-.*").out == pids
    assert difference(state, picture(machine, further.cp)) == []
    assert seconds <= 3.5, f"{seconds:.1f} s"


def test_a_join_that_loses_its_api(further: Trial) -> None:
    further.back()
    machine = further.machine
    with ThreadPoolExecutor(1) as pool:
        joining = pool.submit(machine.run, *further.argv, check=False)
        machine.run("sh", "-c", f"until [ -e {ETCD} ]; do sleep 0.02; done")
        further.cp.run("pkill", "-9", "-x", "kube-apiserver")
        done = joining.result()
    assert "Traceback" not in done.err, done.err
    further.again()
    further.back()
