"""The closed table: what is run on machines, word for word, and what its ends mean."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot.host import commands, scripts
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import BareContainer, EtcdTool
from kubeboot.host.runner import Ask, Result, Tell, title
from kubeboot.host.shell import changes, looks, runners

TABLE: dict[str, tuple[Ask[object] | Tell, str]] = {
    "unit": (
        commands.unit("a.service"),
        "systemctl show --property=LoadState,ActiveState,UnitFileState,MainPID,Result,NRestarts,"
        "NeedDaemonReload -- a.service",
    ),
    "links": (commands.links(), "ip -details -json address show"),
    "route": (commands.route_source("::1"), "ip -oneline route get ::1"),
    "tables": (commands.nft_tables(), "nft list tables"),
    "journal": (
        commands.journal_tail("kubelet", 5),
        "journalctl --unit kubelet --lines 5 --no-pager --quiet --output cat",
    ),
    "reload": (commands.daemon_reload(), "systemctl daemon-reload"),
    "start": (commands.start("a"), "systemctl start -- a"),
    "restart": (commands.restart("a"), "systemctl restart -- a"),
    "stop": (commands.stop("a"), "systemctl stop -- a"),
    "enable": (commands.enable("a"), "systemctl enable -- a"),
    "disable": (commands.disable("a"), "systemctl disable -- a"),
    "modprobe": (commands.load_module("overlay"), "modprobe -- overlay"),
    "import": (commands.import_images(False), "ctr -n k8s.io images import --local -"),
    "import pinned": (
        commands.import_images(True),
        "ctr -n k8s.io images import --local --label io.cri-containerd.pinned=pinned -",
    ),
    "remove image": (commands.remove_image("i:1"), "ctr -n k8s.io images rm i:1"),
    "remove task": (commands.remove_task("a"), "ctr -n k8s.io tasks delete --force a"),
    "remove container": (commands.remove_container("a"), "ctr -n k8s.io containers rm a"),
    "restore snapshot": (
        commands.restore_snapshot("/b/a,b.db", "/data/new", EtcdTool("etcd:1", "cp-1", "https://a:1", "t")),
        "ctr -n k8s.io run --rm --mount 'type=bind,\"src=/b/a,b.db\",dst=/snapshot.db,options=rbind:ro' "
        "--mount 'type=bind,\"src=/data\",dst=/data,options=rbind:rw' etcd:1 kubeboot-etcdutl "
        "etcdutl snapshot restore /snapshot.db --data-dir /data/new --name cp-1 "
        "--initial-cluster cp-1=https://a:1 --initial-advertise-peer-urls https://a:1 "
        "--initial-cluster-token t --bump-revision 1000000000 --mark-compacted",
    ),
    "start container": (
        commands.start_container(BareContainer("a", "etcd:1", ("etcd", "--x=y"), (("/b,c", "/d", "rw"),))),
        "ctr -n k8s.io run --detach --net-host --cgroup /a --log-uri file:///var/lib/kubeboot/a.log "
        "--mount 'type=bind,\"src=/b,c\",dst=/d,options=rbind:rw' etcd:1 a etcd --x=y",
    ),
    "unmount": (commands.unmount("/a b", lazily=False), "umount -- '/a b'"),
    "unmount lazily": (commands.unmount("/a", lazily=True), "umount -l -- /a"),
    "delete link": (commands.delete_link("cni0"), "ip link delete dev cni0"),
    "delete address": (
        commands.delete_address("10.0.0.100/32", "eth1"),
        "ip address delete 10.0.0.100/32 dev eth1",
    ),
    "delete table": (commands.delete_nft_table("ip", "kube-proxy"), "nft delete table ip kube-proxy"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_words_of_each_command(name: str) -> None:
    command, line = TABLE[name]
    assert shlex.join(command.argv) == line


REPEATED = {
    "stop": (commands.stop("a"), b"Failed to stop a.service: Unit a.service not loaded.\n"),
    "disable": (commands.disable("a"), b"Failed to disable unit: Unit file a.service does not exist.\n"),
    "link": (commands.delete_link("nope"), b'Cannot find device "nope"\n'),
    "address": (
        commands.delete_address("10.0.0.100/32", "eth1"),
        b"RTNETLINK answers: Cannot assign requested address\n",
    ),
    "table": (
        commands.delete_nft_table("inet", "nope"),
        b"Error: Could not process rule: No such file or directory\ndelete table inet nope\n",
    ),
    "unmounted": (commands.unmount("/etc", lazily=False), b"umount: /etc: not mounted.\n"),
    "no mount point": (commands.unmount("/x", lazily=False), b"umount: /x: no mount point specified.\n"),
    "task": (commands.remove_task("a"), b"ctr: no running task found: task a not found\n"),
    "container": (commands.remove_container("a"), b'ctr: container "a" in namespace "k8s.io": not found\n'),
}


@pytest.mark.parametrize("name", REPEATED)
def test_removing_what_is_gone_is_no_failure(name: str) -> None:
    tell, words = REPEATED[name]
    tell.verify(Result(1, b"", words), "cp-1")
    with pytest.raises(CommandFailed) as raised:
        tell.verify(Result(1, b"", b"first\nPermission denied\n"), "cp-1")
    assert str(raised.value).endswith("ended with status 1: Permission denied")
    assert (raised.value.host, raised.value.output) == ("cp-1", "first\nPermission denied")


@pytest.mark.parametrize("ask", [commands.images(), commands.containers()])
def test_no_containerd_means_nothing_is_there(ask: Ask[Sequence[object]]) -> None:
    assert ask.answer(Result(127, b"", b"ctr: not found"), "cp-1") == ()
    assert ask.answer(Result(44, b"", b""), "cp-1") == ()
    with pytest.raises(CommandFailed):
        ask.answer(Result(1, b"", b"ctr: context deadline exceeded"), "cp-1")


def test_no_route_is_no_source() -> None:
    ask = commands.route_source("2001:db8::1")
    assert ask.answer(Result(2, b"", b"RTNETLINK answers: Network is unreachable\n"), "cp-1") is None
    with pytest.raises(CommandFailed):
        ask.answer(Result(1, b"", b'Error: any valid prefix is expected rather than "x".\n'), "cp-1")


def test_a_container_s_process_is_asked_to_end_and_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen(("sleep", "600")) as mine, subprocess.Popen(("sleep", "600")) as other:
        rows = f"TASK PID STATUS\na {mine.pid} RUNNING\nab {other.pid} RUNNING\n"
        (tmp_path / "ctr").write_text(f"#!/bin/sh\nprintf '{rows}'\n")
        (tmp_path / "ctr").chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        argv = commands.sh("end", commands._END_TASK, "a")
        with subprocess.Popen(argv, env={"PATH": path}, stderr=subprocess.PIPE) as ends:
            assert mine.wait(60) == -signal.SIGTERM
            assert (ends.wait(60), ends.communicate()[1]) == (0, b"")
        assert other.poll() is None
        other.kill()


def test_an_answer_that_makes_no_sense_says_so() -> None:
    with pytest.raises(CommandFailed, match=r"`ip -details -json address show` gave an unexpected answer"):
        commands.links().answer(Result(0, b"not json", b""), "cp-1")


def test_a_silent_failure_still_has_words() -> None:
    with pytest.raises(CommandFailed, match="`nft list tables` ended with status 1: it said nothing"):
        commands.nft_tables().answer(Result(1, b"", b"\n"), "cp-1")


def test_a_script_is_named_in_errors_and_its_text_is_not() -> None:
    tell = scripts.symlink("/a", "b")
    assert title(tell.argv) == "symlink /a b"
    assert len(title(("echo", "x" * 500))) < 100


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"])))
def test_nothing_in_an_argument_is_ever_code(word: str) -> None:
    argv = commands.sh("echo", 'printf %s "$1"', word)
    direct = subprocess.run(argv, capture_output=True, check=True)
    quoted = subprocess.run(["sh", "-c", shlex.join(argv)], capture_output=True, check=True)
    assert direct.stdout == quoted.stdout == word.encode()


SCRIPTS = {
    name: text for part in (changes, looks, runners) for name, text in vars(part).items() if name.isupper()
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_plain_posix_sh(name: str) -> None:
    checked = subprocess.run(["sh", "-n"], input=SCRIPTS[name].encode(), capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, b"")
    for bashism in ("[[", "function ", "local ", "&>", "<<<", "${!"):
        assert bashism not in SCRIPTS[name]


def test_modes_have_five_digits_so_that_special_bits_are_cleared() -> None:
    assert scripts.mkdir("/a", 0o711).argv[-1] == "00711"
    assert scripts.chmod("/a", 0o4755, "root:root").argv[-2:] == ("04755", "root:root")
