"""The demo against a lab that answers from a table: every check can fail, and says what it found."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "vagrant" / "demo"
HASH = "sha256:" + "ab" * 32
TOKEN = "abcdef.0123456789abcdef"
JOIN = f"sudo kubeboot join 192.168.56.11:8443 --token {TOKEN} --discovery-token-ca-cert-hash {HASH}"
TABLE: Mapping[str, str] = {  # the first pattern (of sh's case) that a command matches: what is run for it
    "*' kubeboot init'": "echo ready",
    "*'--print-join-command'": f"echo '{JOIN}'",
    "*worker-1*' kubeboot join '*": "true",
    "*worker-2*' kubeboot join '*": "true",
    "*'get nodes --no-headers'": "printf 'cp-1 Ready cp\\nworker-1 Ready w\\nworker-2 Ready w\\n'",
    "*'get pods -n kube-system'*": "printf '0\\n0\\n'",
    "*'get pods -n kube-flannel'*": "printf '0\\n'",
    "*'wait --for=condition=Ready nodes'*": "true",
    "*'wait --for=condition=Ready pods'*": "true",
    "*' apply -f -'": "grep -q 'kind: Deployment'",
    "*'wait --for=condition=Ready pod/test-web'*": "true",
    "*'get pod test-web'*": "echo worker-1",
    "*'rollout status'*": "true",
    "*'get pods -l app=web'*": 'if [ -e "$state/deleted" ]; then c=web-c; else c=web-a; fi; '
    'printf "$c worker-1\\nweb-b worker-2\\n"',
    "*'exec web-'*http://test-web*": "echo 'It works!'",
    "*'exec test-web '*http://web.*": "printf 'web-a\\nweb-b\\nweb-c\\n'",
    "*'spec.nodeName=worker-1'*": "echo 'web-a uid containerd://1 0'",
    "*worker-1*' date '*": "echo 2026-01-01T00:00:00Z",
    "*worker-1*' systemctl restart kubelet'": "true",
    "*'get lease -n kube-node-lease worker-1'*": "echo 2026-01-01T00:00:03.123456Z",
    "*'wait --for=condition=Ready node/worker-1'*": "true",
    "*'delete pod web-a '*": 'touch "$state/deleted"',
    "*' kubectl '*": "true",
    "up*": "true",
    "build": "true",
    "down*": "echo gone",
}
LAB = """#!/bin/bash
state={state}
echo "$*" >>"$state/calls"
case "$*" in
{cases}
*) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


KEY = "cd" * 32
HA: Mapping[str, str] = {
    "*' kubeboot certs upload'": f"echo {KEY}",
    "*'--certificate-key-file -'": f"grep -q {KEY} && echo '{JOIN} --control-plane --certificate-key {KEY}'",
    "*cp-[23]*' kubeboot join '*": "true",
    "*'get nodes --no-headers'": '[ -e "$state/gone" ] || echo cp-1 Ready; printf "%s Ready\\n" 2 3 4 5',
    "*worker-1*' tee /root/admin.conf'": "cat >/dev/null",
    "*worker-1*' sh -s 15'": 'cat >"$state/writer"; for n in $(seq 30); do echo "$n $n"; done; echo "31 end"',
    "*cp-1*' poweroff -ff'": "true",
    "*'node remove cp-1 --force'": 'touch "$state/gone"',
    "*'get configmap writes'*": "seq 31",
}
"""What is asked besides with --ha."""


def play(tmp_path: Path, changes: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with the table's answers, some of them changed."""
    table = {**HA, **{p: a for p, a in TABLE.items() if p not in HA}} if "--ha" in arguments else TABLE
    assert set(changes) <= set(table), "a change of an answer that is never given proves nothing"
    for name in ("demo", "demo.yaml"):
        shutil.copy(DEMO.with_name(name), tmp_path / name)
    cases = "\n".join(f"{pattern}) {answer} ;;" for pattern, answer in {**table, **changes}.items())
    (tmp_path / "lab").write_text(LAB.format(state=tmp_path, cases=cases))
    (tmp_path / "lab").chmod(0o755)
    # time does not pass by itself here: each sleep of a second is over at once, but has been
    env = {**os.environ, "BASH_ENV": str(tmp_path / "clock"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "clock").write_text("sleep() { SECONDS=$((SECONDS + 10)); }\n")
    demo = str(tmp_path / "demo")
    return subprocess.run([demo, *arguments], env=env, capture_output=True, text=True, check=False)


def test_it_shows_what_it_did_and_how_to_go_on(tmp_path: Path) -> None:
    done = play(tmp_path, {})
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "it works.",
        "vagrant/demo --down",
        "test-web answers web-b",
        "taken the place of web-a",
    ):
        assert expected in done.stdout
    assert TOKEN not in done.stdout + done.stderr, "a token is shown"
    calls = (tmp_path / "calls").read_text()
    for worker in ("worker-1", "worker-2"):
        words = JOIN.removeprefix("sudo ")
        assert f"ssh --name demo {worker} -- sudo {words}\n" in calls
    assert "run test-web --image=httpd" in calls


NODES = "*'get nodes --no-headers'"
REPLICAS = "*'get pods -l app=web'*"
FLANNEL = "*'get pods -n kube-flannel'*"
SYSTEM = "*'get pods -n kube-system'*"
LEASE = "*'get lease -n kube-node-lease worker-1'*"
ON_WORKER = "*'spec.nodeName=worker-1'*"


@pytest.mark.parametrize(
    ("pattern", "answer", "says"),
    [
        ("up*", "exit 1", "artifacts and machines: the last command failed"),
        ("build", "exit 1", "artifacts and machines: the last command failed"),
        ("*' kubeboot init'", "exit 3", "kubeboot init ended with status 3"),
        ("*'--print-join-command'", "exit 5", "no join command"),
        ("*'--print-join-command'", "echo kubeboot join", "this is no join command"),
        ("*worker-1*' kubeboot join '*", "exit 6", "kubeboot join on worker-1 ended with status 6"),
        ("*worker-2*' kubeboot join '*", "exit 6", "kubeboot join on worker-2 ended with status 6"),
        ("*'wait --for=condition=Ready nodes'*", "exit 1", "not every node is Ready"),
        (NODES, "printf 'cp-1 Ready\\nworker-1 NotReady\\n'", "Ready nodes: expected `3`, found `1`"),
        ("*'wait --for=condition=Ready pods'*", "exit 1", "a pod of kube-system is not Ready"),
        (FLANNEL, "printf '0\\n2\\n'", "restarts in kube-flannel: expected `0`, found `2`"),
        (SYSTEM, "true", "restarts in kube-system: expected `0`, found `no containers`"),
        ("*' kubectl '*", "exit 1", "and a deployment of two replicas: the last command failed"),
        ("*' apply -f -'", "exit 1", "and a deployment of two replicas: the last command failed"),
        ("*'wait --for=condition=Ready pod/test-web'*", "exit 1", "test-web is not Ready"),
        ("*'rollout status'*", "exit 1", "the deployment is not available"),
        (REPLICAS, "printf 'web-a worker-1\\nweb-b worker-1\\n'", "machines under the two replicas"),
        (REPLICAS, "printf 'web-a worker-1\\nweb-b worker-2\\n'", "has taken the place of web-a"),
        ("*'exec web-'*http://test-web*", "echo '404'", "test-web answers web-b"),
        ("*'exec web-'*http://test-web*", "exit 1", "test-web answers web-b"),
        ("*'exec test-web '*http://web.*", "echo web-a", "answers from web-b: not in time; last answer"),
        (ON_WORKER, "true", "nothing runs on worker-1"),
        (ON_WORKER, 'echo "$RANDOM$RANDOM"', "are those from before"),
        ("*worker-1*' systemctl restart kubelet'", "exit 1", "the kubelet does not restart"),
        (LEASE, "echo 2025-12-31T23:59:59Z", "reports to the API: not in time"),
        ("*'wait --for=condition=Ready node/worker-1'*", "exit 1", "worker-1 is not Ready"),
    ],
)
def test_whatever_is_not_as_it_should_be_ends_it(
    pattern: str, answer: str, says: str, tmp_path: Path
) -> None:
    done = play(tmp_path, {pattern: answer})
    assert done.returncode == 1
    assert "it works." not in done.stdout
    assert says in done.stderr
    assert done.stderr.count("error:") == 1


def test_the_first_machine_dies_and_writes_go_on(tmp_path: Path) -> None:
    done = play(tmp_path, {}, "--ha")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the longest it waited was 1.0 s" in done.stdout and "were lost" in done.stdout
    calls = (tmp_path / "calls").read_text()
    assert calls.index("poweroff -ff") < calls.index("cp-2 -- sudo kubeboot node remove cp-1")
    assert KEY not in done.stdout + done.stderr
    writer = tmp_path / "writer"
    assert "https://127.0.0.1:8443" in writer.read_text()
    subprocess.run(["sh", "-n", str(writer)], check=True)


WRITES = "*worker-1*' sh -s 15'"


@pytest.mark.parametrize(
    ("pattern", "answer", "says"),
    [
        ("*cp-[23]*' kubeboot join '*", "exit 6", "kubeboot join on cp-2 ended with status 6"),
        (WRITES, "exit 7", "the writer ended with status 7"),
        (WRITES, 'for n in $(seq 30); do echo "$n $n"; done; echo "37 end"', "writes stood still for 7.0 s"),
        (WRITES, 'for n in $(seq 30); do echo "$n $n"; done', "writes stood still for 99.0 s"),
        (WRITES, "echo 1 1; echo 2 end", "writes stood still for 99.0 s"),
        ("*'node remove cp-1 --force'", "exit 1", "cp-1 cannot be removed"),
        ("*'get configmap writes'*", "seq 28", "acknowledged writes that were lost: expected `0`, found `2`"),
        ("*'get configmap writes'*", "true", "acknowledged writes that were lost: expected `0`, found `30`"),
    ],
)
def test_a_first_machine_that_is_missed_ends_it(pattern: str, answer: str, says: str, tmp_path: Path) -> None:
    done = play(tmp_path, {pattern: answer}, "--ha")
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr


def test_down_removes_its_lab_and_nothing_else(tmp_path: Path) -> None:
    done = play(tmp_path, {}, "--down")
    assert done.returncode == 0
    assert (tmp_path / "calls").read_text() == "down --name demo --docker\n"


def test_an_argument_that_it_does_not_know_does_nothing(tmp_path: Path) -> None:
    done = play(tmp_path, {}, "--dwon")
    assert done.returncode == 2
    assert not (tmp_path / "calls").exists()
