"""The balancer before the API servers, wherever it is: on every machine, on one of its own, the user's."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.harness import Lab, Machine, difference, ill, snapshot
from tests.e2e.test_ha import eventually, kubectl, servers

pytestmark = [pytest.mark.cluster, pytest.mark.long]

IDLE = 130.0
"""Seconds without a byte, over a reload."""
NAME = "k8s.example.test"
MANIFEST = "/etc/kubernetes/manifests/haproxy.yaml"
TALKER = """
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  nodeName: worker-1
  containers:
    - name: talker
      image: httpd
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "echo first; until [ -e /tmp/go ]; do sleep 1; done; echo last; sleep 600"]
"""


def failed(request: pytest.FixtureRequest) -> bool:
    return request.session.testsfailed > 0


def init(machine: Machine, *argv: str) -> list[list[str]]:
    """The join commands: a worker's, a control plane's, and a balancer's where there are any."""
    out = machine.run("kubeboot", "init", "--upload-certs", *argv).out
    return [line.split() for line in out.splitlines()]


def server_of(machine: Machine, config: str) -> str:
    return machine.run("grep", "server:", f"/etc/kubernetes/{config}").out.split()[-1]


def ready(machine: Machine, *argv: str) -> dict[str, str]:
    found = json.loads(kubectl(machine, *argv, "get", "nodes", "-o", "json"))["items"]
    return {
        n["metadata"]["name"]: next(c["status"] for c in n["status"]["conditions"] if c["type"] == "Ready")
        for n in found
    }


def without_haproxy(machine: Machine) -> bool:
    return machine.run("test", "-e", MANIFEST, check=False).code != 0


@pytest.fixture(scope="class")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    control_planes, balancers = request.cls.MACHINES
    with Lab.up(control_planes, 1, lambda: failed(request), balancers=balancers) as made:
        yield made


@pytest.fixture(scope="class")
def clean(lab: Lab) -> dict[str, str]:
    return snapshot(lab["lb-1"])


@pytest.fixture(scope="class")
def joins(lab: Lab, clean: dict[str, str]) -> list[list[str]]:
    where = f"{lab['lb-1'].address}:8443"
    return init(lab["cp-1"], "--load-balancer", "machines", "--control-plane-endpoint", where)


class TestOnEveryMachine:
    MACHINES = (2, 0)

    def test_idle_exec_and_logs_survive_a_reload(self, lab: Lab) -> None:
        cp, worker = lab["cp-1"], lab["worker-1"]
        join, further, *_ = init(cp)
        worker.run(*join)
        kubectl(cp, "apply", "-f", "-", stdin=TALKER.encode())
        kubectl(cp, "wait", "--for=condition=Ready", "pod/talker", "--timeout=60s")
        text = cp.run("cat", "/etc/kubernetes/admin.conf").out
        text = text.replace(server_of(cp, "admin.conf"), "https://127.0.0.1:8443")
        worker.run("tee", "/root/local.conf", stdin=text.encode())
        client = "kubectl --kubeconfig /root/local.conf"
        before = processes(worker)
        with ThreadPoolExecutor(2) as pool:
            idle = f"(sleep {IDLE:.0f}; echo said) | {client} exec -i talker -- cat"
            said = pool.submit(worker.run, "sh", "-c", idle)
            follow = ("timeout", f"{IDLE + 60:.0f}", *client.split(), "logs", "-f", "talker")
            log = pool.submit(worker.run, *follow, check=False)
            lab["cp-2"].run(*further)
            joined = time.monotonic()
            both = {f"{lab[name].address}:6443" for name in ("cp-1", "cp-2")}
            eventually("cp-2 in use everywhere", 60, lambda: all(servers(m) == both for m in lab.machines))
            print(f"a new control plane is in use on every machine {time.monotonic() - joined:.0f} s later")
            assert said.result().out == "said\n"
            assert processes(worker) > before, "haproxy was not reloaded, or lost its connections"
            kubectl(cp, "exec", "talker", "--", "touch", "/tmp/go")
            eventually("the end in the log", 10, lambda: "last" in kubectl(cp, "logs", "talker"))
            kubectl(cp, "delete", "pod", "talker", "--now")
            assert log.result().out.split() == ["first", "last"]


def processes(machine: Machine) -> set[str]:
    """haproxy's processes: a reload adds one, and the one that has the connections stays."""
    return set(machine.run("ps", "-C", "haproxy", "-o", "pid=").out.split())


class TestOnMachinesOfTheirOwn:
    MACHINES = (2, 1)

    def test_the_first_control_plane_is_there_before_any_balancer(
        self, lab: Lab, joins: list[list[str]]
    ) -> None:
        assert ready(lab["cp-1"]) == {"cp-1": "True"}
        assert without_haproxy(lab["cp-1"])
        assert [words[2] for words in joins] == [
            f"{lab['lb-1'].address}:8443", f"{lab['lb-1'].address}:8443", f"{lab['cp-1'].address}:6443",
        ]  # fmt: skip

    def test_a_balancer_joins_and_is_no_node(self, lab: Lab, joins: list[list[str]]) -> None:
        balancer = lab["lb-1"]
        began = time.monotonic()
        balancer.run(*joins[2])
        print(f"a balancer joined in {time.monotonic() - began:.1f} s")
        assert servers(balancer) == {f"{lab['cp-1'].address}:6443"}
        assert "lb-1" not in ready(lab["cp-1"])
        again = balancer.run(*joins[2])
        assert "nothing" in again.err + again.out

    def test_it_may_read_the_endpoints_and_no_more(self, lab: Lab, joins: list[list[str]]) -> None:
        conf = ("kubectl", "--kubeconfig", "/etc/kubernetes/load-balancer.conf")
        run = lab["lb-1"].run
        assert run(*conf, "get", "endpointslices", "kubernetes", "-n", "default").code == 0
        for asked in (("nodes",), ("pods", "-A"), ("secrets", "-n", "kube-system"), ("endpointslices", "-A"),
                      ("configmaps", "-n", "kube-system")):  # fmt: skip
            assert "Forbidden" in run(*conf, "get", *asked, check=False).err, asked
        refused = run(*conf, "create", "token", "default", check=False)
        assert refused.code != 0 and "orbidden" in refused.err

    def test_workers_go_by_it(self, lab: Lab, joins: list[list[str]]) -> None:
        worker = lab["worker-1"]
        worker.run(*joins[0])
        assert server_of(worker, "kubelet.conf") == f"https://{lab['lb-1'].address}:8443"
        assert without_haproxy(worker)
        assert ready(lab["cp-1"]) == {"cp-1": "True", "worker-1": "True"}

    def test_it_uses_a_new_control_plane_within_a_minute(self, lab: Lab, joins: list[list[str]]) -> None:
        lab["cp-2"].run(*joins[1])
        both = {f"{lab[name].address}:6443" for name in ("cp-1", "cp-2")}
        took = eventually("both in use", 60, lambda: servers(lab["lb-1"]) == both)
        print(f"the balancer has both {took:.0f} s later")

    def test_it_renews_its_token_by_itself(self, lab: Lab, joins: list[list[str]]) -> None:
        run, path = lab["lb-1"].run, "/etc/kubernetes/load-balancer.token"
        before = run("cat", path).out
        run("touch", "-d", "2 hours ago", path)
        run("systemctl", "start", "kubeboot-backends.service")
        assert run("cat", path).out != before
        assert run("stat", "-c", "%a", path).out.strip() == "600"
        conf = ("kubectl", "--kubeconfig", "/etc/kubernetes/load-balancer.conf")
        assert run(*conf, "get", "endpointslices", "kubernetes", "-n", "default").code == 0

    def test_it_comes_back_by_itself(self, lab: Lab, joins: list[list[str]]) -> None:
        name = f"kubeboot-{lab.name}-lb-1"
        subprocess.run(("docker", "kill", name), check=True, stdout=subprocess.DEVNULL)
        subprocess.run(("docker", "start", name), check=True, stdout=subprocess.DEVNULL)
        where = f"https://{lab['lb-1'].address}:8443/readyz"
        ask = ("curl", "-sS", "-m", "2", "--cacert", "/etc/kubernetes/pki/ca.crt", where)
        took = eventually(
            "the API through it", 60, lambda: lab["worker-1"].run(*ask, check=False).out == "ok"
        )
        print(f"the balancer serves again {took:.0f} s after its power came back")

    def test_doctor_finds_it_well(self, lab: Lab, joins: list[list[str]]) -> None:
        assert ill(lab["lb-1"]) == []

    def test_reset_leaves_nothing(self, lab: Lab, clean: dict[str, str], joins: list[list[str]]) -> None:
        lab["lb-1"].run("kubeboot", "reset", "--yes")
        assert difference(clean, snapshot(lab["lb-1"])) == []


class TestTheUsers:
    MACHINES = (1, 1)

    def test_everything_goes_by_the_name_that_the_user_gave(self, lab: Lab) -> None:
        cp, worker, theirs = lab["cp-1"], lab["worker-1"], lab["lb-1"]
        for machine in lab.machines:
            machine.run("sh", "-c", f"echo {theirs.address} {NAME} >> /etc/hosts")
        join, *_ = init(cp, "--load-balancer", "external", "--control-plane-endpoint", NAME)
        assert join[2] == f"{NAME}:6443"
        itself = f"--server=https://{cp.address}:6443"
        assert ready(cp, itself) == {"cp-1": "True"}, "init needs no balancer"
        straight = [word.replace(join[2], f"{cp.address}:6443") for word in join]
        early = worker.run(*straight, check=False)
        assert early.code == 3 and "EndpointUnreachable" in early.err
        listen, forward = "TCP-LISTEN:6443,fork,reuseaddr", f"TCP:{cp.address}:6443"
        theirs.run("systemd-run", "-q", "--unit", "balancer", "socat", listen, forward)
        worker.run(*join)
        assert server_of(worker, "kubelet.conf") == f"https://{NAME}:6443"
        assert server_of(cp, "admin.conf") == f"https://{NAME}:6443"
        assert without_haproxy(cp) and without_haproxy(worker)
        assert ready(cp) == {"cp-1": "True", "worker-1": "True"}
        again = worker.run(*join)
        assert "nothing" in again.err + again.out
        assert ill(cp) + ill(worker) == []
