"""Canaries: no key or token in the list of processes, logs, journals, /tmp, ConfigMaps, support files.

What the commands are given (tokens, the certificate key) is looked for in all processes' arguments ten times
a second while they run; with the private keys of all machines it is looked for everywhere else afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import canaries
from tests.e2e.harness import Lab, Machine

pytestmark = pytest.mark.cluster
TOKEN = "abcdef.0123456789canary"
KEY = "c0ffee5ec2e7" + "5e" * 26
CANARIES, SEEN, BUNDLE = "/root/canaries", "/root/seen", "/root/support.tar.gz"
WATCH = f"""
: >{SEEN}
while [ -e {CANARIES} ]; do
  for found in $(grep -laF -f {CANARIES} /proc/[0-9]*/cmdline 2>/dev/null); do
    tr '\\0' ' ' <"$found" >>{SEEN}
  done
  sleep 0.1
done
"""
FIND = f"""
journalctl --no-pager --output cat >/root/journal
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl get configmaps,events,nodes,pods --all-namespaces --output yaml >/root/objects 2>/dev/null
tar -xOzf {BUNDLE} >/root/packed
cd /root
grep -rlaF -f {CANARIES} /var/lib/kubeboot /var/log /tmp /var/tmp /run/kubeboot* journal objects packed
wc -c </root/journal; wc -c </root/packed
rm -f /root/journal /root/objects /root/packed
"""
"""The files in which canaries are; at the end how much of the journal and the support file was looked at."""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(2, 1, lambda: request.session.testsfailed > 0) as made:
        for machine in made.machines:
            know(made, TOKEN.partition(".")[2], KEY)
            machine.run("systemd-run", "--quiet", "--unit", "watch", "sh", "-c", WATCH)
        yield made


def know(lab: Lab, *canaries: str) -> None:
    """What is looked for on every machine, from now on."""
    for machine in lab.machines:
        machine.run("sh", "-c", f"cat >>{CANARIES}", stdin="".join(f"{c}\n" for c in canaries).encode())


def place(machine: Machine, name: str, text: str) -> str:
    """A file of root's with a secret, as a careful operator has it."""
    machine.run("sh", "-c", f"umask 077; cat >/root/{name}", stdin=text.encode())
    return f"/root/{name}"


def join(lab: Lab, name: str, *more: str) -> None:
    """With a token of its own, from a file."""
    cp = lab["cp-1"]
    words = cp.run("kubeboot", "token", "create", "--print-join-command").out.split()
    token = words[words.index("--token") + 1]
    know(lab, token.partition(".")[2])
    file = place(lab[name], "token", token)
    words[words.index("--token") : words.index("--token") + 2] = ["--token-file", file]
    lab[name].run(*words, *more)
    lab[name].run("rm", file)


def leaks(machine: Machine) -> list[str]:
    """Where canaries are, and are not to be."""
    machine.run("kubeboot", "support", "-o", BUNDLE)
    *found, journal, packed = machine.run("sh", "-c", FIND, check=False).out.split()
    machine.run("rm", BUNDLE)
    assert int(journal) > 1000 and int(packed) > 10_000
    return [*found, *machine.run("cat", SEEN).out.splitlines()]


def test_no_command_shows_or_leaves_a_secret(lab: Lab) -> None:
    cp = lab["cp-1"]
    key = place(cp, "key", KEY)
    cp.run("kubeboot", "init", "--upload-certs", "--certificate-key-file", key, "--token-file", "-",
           stdin=TOKEN.encode())  # fmt: skip
    know(lab, cp.run("kubeboot", "certs", "upload").out.strip())
    cp.run("kubeboot", "certs", "upload", "--certificate-key-file", key)
    cp.run("rm", key)
    join(lab, "worker-1")
    join(lab, "cp-2", "--control-plane", "--certificate-key-file", place(lab["cp-2"], "key", KEY))
    lab["cp-2"].run("rm", "/root/key")
    cp.run("kubeboot", "etcd", "snapshot", "save", "/root/etcd.db")
    for machine in lab.machines:
        know(lab, *machine.run("sh", "-c", canaries.KEYS).out.split())
    assert int(cp.run("sh", "-c", f"sort -u {CANARIES} | wc -l").out) > 20
    assert {machine.name: leaks(machine) for machine in lab.machines} == {m.name: [] for m in lab.machines}


def test_no_reset_leaves_one(lab: Lab) -> None:
    for name in ("worker-1", "cp-2", "cp-1"):
        lab[name].run("kubeboot", "reset", "--yes")
        assert leaks(lab[name]) == []
