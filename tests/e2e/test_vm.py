"""A kernel, swap, modules, a clock and reboots of its own: what the lab's containers share with others.

One virtual machine, in this order: swap and what brings it back; the clock; then a cluster from nothing to
nothing, with a reboot in between. Where QEMU has to translate, all this takes a quarter of an hour, and more
on a busy computer. `tests/run --vm` runs it, and nothing else does.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest

from kubeboot import errors
from kubeboot.engine.step import Target
from kubeboot.kube import client
from kubeboot.pki import pins, tokens
from tests.e2e import bare
from tests.e2e import test_real_api as real
from tests.e2e.harness import TOP, Lab, Machine, difference, snapshot
from tests.fakes.host import FakeHost

pytestmark = pytest.mark.vm
SLOW = ("--timeout-scale", "10", "--ignore-preflight-errors", "EtcdDisk")
"""Where QEMU translates, even a synced write takes the CPU a tenth of a second."""
PATIENCE = 1800.0
HOST = "10.0.2.2"
"""The computer's loopback, as a machine behind QEMU's NAT sees it."""
ADMIN = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
MODULES = ("br_netfilter", "overlay", "nf_conntrack")
ASK = (
    (TOP / "kubeboot/steps/dns/query.py").read_text()
    + """
server = socket.create_connection(("10.96.0.10", 53), 30)
print(*ask(server, "kubernetes.default.svc.cluster.local"))
"""
)
SWAP = r"""
for file in /swap1 /swap2 /swap3; do
  dd if=/dev/zero of=$file bs=1M count=16 status=none
  chmod 600 $file
  mkswap $file >/dev/null
done
echo '/swap1 none swap sw 0 0' >>/etc/fstab
printf '[Swap]\nWhat=/swap2\n[Install]\nWantedBy=swap.target\n' >/etc/systemd/system/swap2.swap
printf '[zram0]\nzram-size = 16\n' >/etc/systemd/zram-generator.conf
systemctl enable --quiet swap2.swap
mkdir -p /etc/systemd/system-generators
cat >/etc/systemd/system-generators/partitions <<'GENERATOR'
#!/bin/sh
printf '[Swap]\nWhat=/swap3\n' >"$3/swap3.swap"
mkdir -p "$3/swap.target.wants"
ln -s ../swap3.swap "$3/swap.target.wants/"
GENERATOR
chmod 755 /etc/systemd/system-generators/partitions
"""
"""At the next boot: swap by /etc/fstab, by a unit, by a generator (as systemd's for partitions), and zram."""
BRING_IT_BACK = {f"SwapReturns-{name}" for name in ("fstab", "swap2.swap", "swap3.swap", "zram")}

UNTIL_THE_NEXT_BOOT = {"+ units: systemd-networkd-wait-online.service"}
"""The kubelet's unit asked for it, and it has done its work: docs/troubleshooting.md, "What reset leaves"."""


@pytest.fixture(scope="module")
def vm(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with Lab.up(1, 0, lambda: request.session.testsfailed > 0, provider="qemu") as lab:
        yield lab["cp-1"]


@pytest.fixture(scope="module")
def before(vm: Machine) -> dict[str, str]:
    return snapshot(vm)


@pytest.fixture(scope="module")
def cluster(before: dict[str, str], vm: Machine) -> Machine:
    """The machine once it is a cluster of its own."""
    vm.run("kubeboot", "init", "--single", *SLOW)
    return vm


@pytest.fixture
def wrong_clock(vm: Machine) -> Iterator[Callable[[int], None]]:
    """Move the machine's clock by so many seconds, kept by nobody; right again, and kept, afterwards."""
    keep_time(vm, "false")
    yield lambda seconds: set_clock(vm, time.time() + seconds)
    set_clock(vm, time.time())
    keep_time(vm, "true")


def keep_time(vm: Machine, word: str) -> None:
    """Whether a service keeps the clock; the bus's own patience of 25 s is too short when busy."""
    vm.run("env", "SYSTEMD_BUS_TIMEOUT=600s", "timedatectl", "set-ntp", word)


def set_clock(vm: Machine, seconds: float) -> None:
    vm.run("date", "--utc", "--set", f"@{seconds:.0f}")


def findings(vm: Machine) -> dict[str, dict[str, str]]:
    """What preflight says, by name."""
    done = vm.run("kubeboot", "preflight", "-o", "json", check=False)
    assert done.code in (0, 3), done.err
    return {found["name"]: found for found in json.loads(done.out)["findings"]}


def reboot(vm: Machine) -> None:
    """Until SSH answers from another boot."""
    last = boot_id(vm)
    with contextlib.suppress(errors.KubebootError):
        vm.run("systemctl", "reboot", check=False)
    eventually("another boot", 600, lambda: boot_id(vm) not in ("", last))


def boot_id(vm: Machine) -> str:
    with contextlib.suppress(errors.KubebootError):
        return vm.run("cat", "/proc/sys/kernel/random/boot_id", check=False).out.strip()
    return ""


def eventually(what: str, seconds: float, look: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(2)


def dns(vm: Machine) -> str:
    """What the cluster's name server says of the API's Service, asked without kubeboot."""
    done = vm.run("python3", "-", stdin=ASK.encode(), check=False)
    return done.out.strip() or done.err.strip().rpartition("\n")[2]


def swaps(vm: Machine) -> list[str]:
    return vm.run("cat", "/proc/swaps").out.splitlines()[1:]


def test_the_kernel_is_a_machine_s_own(vm: Machine) -> None:
    assert vm.run("stat", "-f", "-c", "%T", "/sys/fs/cgroup").out.strip() == "cgroup2fs"
    assert vm.run("systemctl", "is-system-running", "--wait").out.strip() == "running"
    found = findings(vm)
    assert {name for name, one in found.items() if one["level"] == "error"} <= {"EtcdDisk"}
    assert "CgroupV1" not in found


def test_swap_is_found_with_all_that_brings_it_back_and_the_fixes_outlast_a_reboot(vm: Machine) -> None:
    vm.run("sh", "-euc", SWAP)
    reboot(vm)
    assert len(swaps(vm)) == 4
    refused = vm.run("kubeboot", "init", "--single", check=False)
    assert refused.code == 3 and "Swap" in refused.err
    found = findings(vm)
    assert found.keys() >= {"Swap", *BRING_IT_BACK}
    for name in sorted(BRING_IT_BACK | {"Swap"}):
        vm.run("sh", "-euc", found[name]["hint"])
    assert swaps(vm) == []
    assert [name for name in findings(vm) if "Swap" in name] == []
    reboot(vm)
    assert swaps(vm) == []
    assert [name for name in findings(vm) if "Swap" in name] == []


def test_a_clock_that_nobody_keeps_is_told_and_the_fix_mends_it(vm: Machine) -> None:
    assert "TimeSync" not in findings(vm)
    keep_time(vm, "false")
    found = findings(vm)
    assert found["TimeSync"]["level"] == "warning"
    assert "timedatectl set-ntp true" in found["TimeSync"]["hint"]
    keep_time(vm, "true")
    assert "TimeSync" not in findings(vm)


def test_a_clock_of_years_ago_is_an_error(vm: Machine, wrong_clock: Callable[[int], None]) -> None:
    wrong_clock(-10 * 365 * 86_400)
    assert findings(vm)["Clock"]["level"] == "error"


@pytest.mark.parametrize(
    ("seconds", "code", "told"), [(600, 3, "ClockSkew"), (-600, 3, "ClockSkew"), (-1800, 5, "clock")]
)
def test_a_clock_that_is_not_the_cluster_s_stops_a_join(
    vm: Machine, wrong_clock: Callable[[int], None], seconds: int, code: int, told: str
) -> None:
    with bare.running() as server, contextlib.closing(server.client()) as api:
        token = furnish(server, api)
        wrong_clock(seconds)
        pin = pins.pin(server.authority.certificate)
        join = ("kubeboot", "join", f"{HOST}:{server.port}", "--token", token.text)
        done = vm.run(*join, "--discovery-token-ca-cert-hash", pin, *SLOW, check=False)
    assert (done.code, told in done.err) == (code, True), done.err
    assert vm.run("ls", "/etc/kubernetes", check=False).out == ""


def furnish(server: bare.Bare, api: client.Client) -> tokens.BootstrapToken:
    """Everything that a machine which joins looks at, and the token for it."""
    target, vals = Target(FakeHost(), api), real.known(server)
    [step] = real.token_steps.steps(real.CP)
    for each in (*real.all_objects(server), step):
        each.apply(target, vals)
    made: tokens.BootstrapToken = step.read(target.see, real.token_steps.TOKEN).reveal().token
    real.sign(api, made)
    return made


def test_init_until_dns_answers(cluster: Machine) -> None:
    assert dns(cluster) == "10.96.0.1"
    assert in_its_place(cluster)


def in_its_place(vm: Machine) -> bool:
    """Modules are in the kernel, pods in systemd's slice of the one hierarchy, and nobody swaps."""
    loaded = {line.split()[0] for line in vm.run("cat", "/proc/modules").out.splitlines()}
    assert loaded.issuperset(MODULES)
    vm.run("test", "-d", "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice")
    assert vm.run("cat", "/proc/sys/net/bridge/bridge-nf-call-iptables").out.strip() == "1"
    return swaps(vm) == []


def test_a_reboot_brings_all_of_it_back(cluster: Machine) -> None:
    begun = float(cluster.run("date", "+%s").out)
    reboot(cluster)
    assert last_word(cluster) - begun < 75, "an API server that waits for etcd must not hold up a shutdown"
    eventually("DNS", PATIENCE, lambda: dns(cluster) == "10.96.0.1")
    cluster.run(*ADMIN, "wait", "node/cp-1", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s")
    assert in_its_place(cluster)


def last_word(vm: Machine) -> float:
    """When the boot before this one ended, by the machine's clock."""
    line = vm.run("journalctl", "-b", "-1", "-n", "1", "-o", "json", "--no-pager").out
    return int(json.loads(line)["__REALTIME_TIMESTAMP"]) / 1e6


def test_a_second_run_changes_nothing(cluster: Machine) -> None:
    processes = ("pidof", "kubelet", "containerd")
    state, ids = kept(cluster), cluster.run(*processes).out
    done = cluster.run("kubeboot", "init", "--single", *SLOW)
    assert "nothing" in (done.out + done.err).lower(), done.err
    assert difference(state, kept(cluster)) == []
    assert cluster.run(*processes).out == ids


def kept(vm: Machine) -> dict[str, str]:
    """Of a snapshot what no pod changes that restarts because the machine is slow."""
    found = snapshot(vm)
    return {name: found[name] for name in ("contents", "links", "nftables", "sysctls", "units")}


def test_a_second_run_in_a_hurry_takes_no_time_from_the_pods(cluster: Machine) -> None:
    """What --timeout-scale gave the static pods for starting is no drift."""
    done = cluster.run("kubeboot", "init", "--single", "--dry-run", check=False)
    assert "kube-apiserver.yaml" not in done.out + done.err


def test_reset_leaves_nothing(cluster: Machine, before: dict[str, str]) -> None:
    cluster.run("kubeboot", "reset", "--yes", *SLOW[:2])
    assert set(difference(before, snapshot(cluster))) <= UNTIL_THE_NEXT_BOOT
    reboot(cluster)
    assert difference(before, snapshot(cluster)) == []
