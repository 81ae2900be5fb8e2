"""Lines as kubelets, containerd, etcd, CoreDNS and flannel write them, and the cause that each speaks for."""

from __future__ import annotations

import collections
import dataclasses
import threading
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.engine import causes
from kubeboot.engine.causes import Line
from kubeboot.engine.execute import Context, settle
from kubeboot.engine.step import Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import NoApi
from tests.fakes.host import FakeHost

GOLDEN = Path(__file__).with_name("golden") / "log-lines.txt"
FURTHER = Path(__file__).with_name("golden") / "log-lines-further.txt"
"""Other lines for the same causes, as people publish them."""
LINES = dict(line.split("\t", 1) for line in GOLDEN.read_text().splitlines())


@pytest.mark.parametrize("cause", causes.CAUSES, ids=lambda cause: cause.id)
def test_every_cause_is_seen_in_a_line_that_speaks_for_it(cause: causes.Cause) -> None:
    (found,) = causes.find([Line("kubelet", LINES[cause.id])])
    assert found.cause is cause
    assert not cause.means.endswith(".") and not cause.fix.endswith(".")
    assert cause.fix in str(found) and "seen in kubelet" in str(found)


@pytest.mark.parametrize("row", FURTHER.read_text().splitlines())
def test_a_cause_is_seen_in_the_other_lines_that_speak_for_it(row: str) -> None:
    id, _, line = row.partition("\t")
    assert [found.cause.id for found in causes.find([Line("kubelet", line)])] == [id]


def test_every_cause_has_one_name() -> None:
    assert set(collections.Counter(cause.id for cause in causes.CAUSES).values()) == {1}


@pytest.mark.parametrize(
    "line",
    [
        'I1121 kubelet.go:2412] "SyncLoop ADD" source="file" pods=["kube-system/etcd-cp-1"]',
        '{"level":"info","msg":"ready to serve client requests"}',
        'I1121 kubelet_node_status.go:687] "Recording event message for node" event="NodeHasNoDiskPressure"',
        'W1121 container_manager.go:52] "cgroup v1 detected. cgroup v1 support is deprecated and '
        'will be removed"',
        "I1121 shared_informer.go:349] Caches are synced for RequestHeaderAuthRequestController",
        "",
    ],
)
def test_what_every_log_holds_speaks_for_nothing(line: str) -> None:
    assert causes.find([Line("kubelet", line)]) == ()


def test_the_more_telling_cause_comes_first_and_each_once() -> None:
    lines = [LINES["refused"], LINES["timeout"], LINES["space"], LINES["refused"], LINES["cni"]]
    found = causes.find([Line("kubelet", text) for text in lines])
    assert [suspect.cause.id for suspect in found] == ["space", "cni"], "what follows from others is left out"
    vague = causes.find([Line("kubelet", LINES[name]) for name in ("refused", "timeout")])
    assert [suspect.cause.id for suspect in vague] == ["timeout", "refused"]


@dataclasses.dataclass(frozen=True)
class Never:
    """What never comes about."""

    says: str = ""
    sentence: str = "the moon"
    deadline: float = 0.0

    def look(self, see: View, vals: Values) -> str | None:
        return "not there yet"

    def explain(self, see: View) -> str:
        return self.says


def _waited(host: FakeHost, says: str = "") -> errors.TimedOut:
    step = Step(id="a", title="A", on="cp-1")
    with pytest.raises(errors.TimedOut) as caught:
        settle(
            step,
            Never(says),
            Target(host, NoApi()),
            Context(vals=Values(), emit=lambda e: None, stop=threading.Event()),
        )
    return caught.value


def test_any_wait_that_ends_tells_cause_and_fix_from_the_machines_logs() -> None:
    host = FakeHost()
    host.journals["kubelet.service"] = [LINES["swap"], "Started kubelet."]
    error = _waited(host)
    assert "waited 0s for the moon: not there yet" in str(error)
    assert "likely cause: swap is on" in (error.output or "") and "seen in kubelet" in (error.output or "")
    assert (error.hint or "").startswith("swapoff -a")


def test_a_containers_newest_log_is_read() -> None:
    host = FakeHost()
    folder = "/var/log/pods/kube-system_etcd-cp-1_1/etcd"
    host.write(f"{folder}/9.log", f"2026-11-21T03:00:00Z stderr F {LINES['refused']}\n".encode())
    host.write(f"{folder}/10.log", f"2026-11-21T03:00:00Z stderr F {LINES['etcd-removed']}\n".encode())
    error = _waited(host, "etcd does not answer")
    assert (error.output or "").startswith(
        "etcd does not answer\nlikely cause: this machine's etcd was removed"
    )
    assert "connection refused" not in (error.output or "")


def test_what_the_condition_says_counts_where_the_machine_says_nothing() -> None:
    assert "no space left" in (_waited(FakeHost(), LINES["space"]).output or "")


PUT_RIGHT = {
    "swap": lambda host: host.write("/proc/swaps", b"Filename\tType\tSize\tUsed\tPriority\n"),
    "disk-pressure": lambda host: None,
    "containerd-down": lambda host: (
        host.write("/etc/systemd/system/containerd.service", b"[Service]\nExecStart=/bin/containerd\n"),
        host.daemon_reload(),
        host.start("containerd.service"),
    ),
    "missing-file": lambda host: host.write("/etc/kubernetes/pki/ca.crt", b""),
    "cni-subnet": lambda host: host.write("/run/flannel/subnet.env", b""),
    "cni": lambda host: host.write("/etc/cni/net.d/10-flannel.conflist", b"{}"),
}
"""What is so no longer, although a log has it."""


@pytest.mark.parametrize("id", [cause.id for cause in causes.CAUSES if cause.still])
def test_a_log_line_about_what_was_put_right_since_is_no_cause(id: str) -> None:
    host = FakeHost()
    host.journals["kubelet.service"] = [LINES[id], LINES["refused"]]
    PUT_RIGHT[id](host)
    assert [suspect.cause.id for suspect in causes.diagnose(host, "not yet", "")] == ["refused"]
    assert causes.diagnose(host, LINES[id], "")[0].cause.id == id, "what is seen now is so"


@pytest.mark.parametrize("wrong", [{"free": 1 << 30, "size": 100 << 30}, {"free_inodes": 7}])
def test_a_disk_that_is_still_full_is_a_cause(wrong: dict[str, int]) -> None:
    host = FakeHost()
    host.journals["kubelet.service"] = [LINES["disk-pressure"]]
    vars(host).update(wrong)
    assert [suspect.cause.id for suspect in causes.diagnose(host, "", "")] == ["disk-pressure"]


def test_a_kubelet_that_is_silent_is_not_blamed_on_what_it_logged_long_ago() -> None:
    host = FakeHost()
    host.journals["kubelet.service"] = [LINES["disk-pressure"], LINES["refused"]]
    (found,) = causes.diagnose(host, "Kubelet stopped posting node status.", "")
    assert found.cause.id == "kubelet-silent" and "systemctl status kubelet" in found.cause.fix


def test_without_a_known_cause_the_last_words_are_all_there_is() -> None:
    error = _waited(FakeHost(), "something new")
    assert error.output == "something new" and "see the lines above" in (error.hint or "")


def test_a_machine_that_is_gone_still_leaves_what_the_condition_said() -> None:
    host = FakeHost()
    host.unreachable = True
    assert causes.diagnose(host, "x", LINES["space"])[0].cause.id == "space"
