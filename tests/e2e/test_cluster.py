"""One real cluster, from nothing to nothing: these tests run in their order on the same machines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Lab, Machine, difference, snapshot

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    def failed() -> bool:
        return request.session.testsfailed > 0

    with Lab.up(control_planes=1, workers=2, failed=failed) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    return lab["cp-1"]


@pytest.fixture(scope="module")
def workers(lab: Lab) -> tuple[Machine, ...]:
    return lab["worker-1"], lab["worker-2"]


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, dict[str, str]]:
    """What every machine was before kubeboot came."""
    return {machine.name: snapshot(machine) for machine in lab.machines}


ADMIN = "/etc/kubernetes/admin.conf"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: DoNotSchedule
          nodeTaintsPolicy: Honor
          labelSelector: {matchLabels: {app: web}}
      containers:
        - {name: httpd, image: httpd, imagePullPolicy: IfNotPresent, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""

FETCH = ("timeout", "5", "wget", "-qO-")


def kubectl(cp: Machine, *argv: str) -> str:
    return cp.run("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *argv).out


def get(cp: Machine, *argv: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(kubectl(cp, "get", "-o", "json", *argv))
    return found


def eventually(what: str, seconds: float, look: object) -> None:
    """Ask until it is so; the last answer is the failure's message."""
    end = time.monotonic() + seconds
    while not (found := look()):  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s, last {found!r}"
        time.sleep(0.5)


def join_command(cp: Machine) -> list[str]:
    return cp.run("kubeboot", "token", "create", "--print-join-command").out.split()


def test_a_dry_run_lists_the_steps_and_changes_nothing(
    cp: Machine, before: dict[str, dict[str, str]]
) -> None:
    done = cp.run("kubeboot", "init", "--dry-run")
    told = done.out + done.err
    for path in (
        "/etc/kubernetes/manifests/etcd.yaml",
        "/etc/kubernetes/pki/ca.crt",
        "/etc/containerd/config.toml",
    ):
        assert path in told
    assert difference(before["cp-1"], snapshot(cp)) == []


def test_preflight_finds_nothing_wrong(cp: Machine) -> None:
    assert cp.run("kubeboot", "preflight").code == 0


def test_init_makes_a_control_plane_whose_dns_answers(cp: Machine) -> None:
    done = cp.run("kubeboot", "init")
    assert "kubeboot join 192.168." in done.out + done.err
    answer = cp.run("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "nodes", "-o", "name")
    assert answer.out.split() == ["node/cp-1"]


def test_the_node_s_address_is_the_cluster_s_and_not_the_nat_s(lab: Lab, cp: Machine) -> None:
    [node] = get(cp, "nodes")["items"]  # type: ignore[index]
    addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
    assert addresses["InternalIP"] == cp.address


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"--token": "abcdef.0123456789abcdef"}, 5, "KB_TOKEN"),
        ({"--discovery-token-ca-cert-hash": "sha256:" + "0" * 64}, 5, "KB_CA_PIN"),
        ({"endpoint": "192.0.2.1:8443"}, 5, "KB_DISCOVERY"),
        ({"--node-name": "cp-1"}, 7, "KB_NODE_NAME"),
    ],
)
def test_a_join_that_cannot_work_says_why_and_leaves_nothing(
    cp: Machine, workers: tuple[Machine, ...], before: dict[str, dict[str, str]],
    change: dict[str, str], code: int, reason: str,
) -> None:  # fmt: skip
    command = join_command(cp)
    for flag, value in change.items():
        if flag == "endpoint":
            command[2] = value
        elif flag in command:
            command[command.index(flag) + 1] = value
        else:
            command += [flag, value]
    began = time.monotonic()
    done = workers[0].run(*command, check=False)
    assert (done.code, reason in done.err) == (code, True), done.err
    assert time.monotonic() - began < 60  # kubeadm asks for five minutes
    assert "Traceback" not in done.err
    assert difference(before[workers[0].name], snapshot(workers[0])) == []


def test_workers_join_by_both_ports_and_become_ready(cp: Machine, workers: tuple[Machine, ...]) -> None:
    for worker, port in zip(workers, ("8443", "6443"), strict=True):
        command = join_command(cp)
        command[2] = f"{cp.address}:{port}"
        worker.run(*command)
    nodes = get(cp, "nodes")["items"]
    ready = {
        n["metadata"]["name"]: next(c["status"] for c in n["status"]["conditions"] if c["type"] == "Ready")
        for n in nodes  # type: ignore[attr-defined]
    }
    assert ready == {"cp-1": "True", "worker-1": "True", "worker-2": "True"}


def test_every_pod_of_the_cluster_is_ready_without_a_restart(cp: Machine) -> None:
    def unready() -> list[str]:
        pods = [p for ns in ("kube-system", "kube-flannel") for p in get(cp, "pods", "-n", ns)["items"]]  # type: ignore[attr-defined]
        return [
            p["metadata"]["name"]
            for p in pods
            if not p["status"].get("containerStatuses")
            or any(not c["ready"] or c["restartCount"] for c in p["status"]["containerStatuses"])
        ]

    eventually("every pod ready", 180, lambda: not unready())


def test_a_service_is_reached_by_name_across_machines(cp: Machine) -> None:
    image = ("--image=httpd", "--image-pull-policy=IfNotPresent")
    cp.run("kubectl", "--kubeconfig", ADMIN, "apply", "-f", "-", stdin=WEB.encode())
    kubectl(cp, "run", "client", *image, "--command", "--", "sleep", "3600")
    kubectl(cp, "rollout", "status", "deployment/web", "--timeout=180s")
    kubectl(cp, "wait", "pod/client", "--for=condition=Ready", "--timeout=180s")
    pods = get(cp, "pods", "-l", "app=web")["items"]
    assert len({p["spec"]["nodeName"] for p in pods}) == 2  # type: ignore[attr-defined]
    page = ("kubectl", "--kubeconfig", ADMIN, "exec", "client", "--", *FETCH, "http://web")
    eventually("the service answers", 180, lambda: cp.run(*page, check=False).code == 0)
    for _ in range(8):
        assert "It works" in cp.run(*page).out
    for pod in pods:  # type: ignore[attr-defined]
        direct = f"http://{pod['status']['podIP']}"
        assert "It works" in kubectl(cp, "exec", "client", "--", *FETCH, direct)


def test_no_container_is_privileged(cp: Machine) -> None:
    pods = get(cp, "pods", "-A")["items"]
    contexts = [
        (p["metadata"]["name"], c.get("securityContext", {}))
        for p in pods  # type: ignore[attr-defined]
        for c in (*p["spec"]["containers"], *p["spec"].get("initContainers", ()))
    ]
    assert contexts and not [name for name, context in contexts if context.get("privileged")]


def test_a_token_minted_in_a_pod_passes_review(cp: Machine) -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    token = kubectl(cp, "exec", "client", "--", "cat", path)
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token.strip()},
    }
    done = cp.run(
        "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "create", "-o", "json", "-f", "-",
        stdin=json.dumps(review).encode(),
    )  # fmt: skip
    status = json.loads(done.out)["status"]
    assert status["authenticated"] and status["user"]["username"] == "system:serviceaccount:default:default"


def test_certificates_name_what_they_must_and_keys_are_private(cp: Machine) -> None:
    pki = "/etc/kubernetes/pki"
    text = cp.run("openssl", "x509", "-in", f"{pki}/apiserver.crt", "-noout", "-text").out
    for name in (
        "127.0.0.1",
        "DNS:localhost",
        "DNS:kubernetes.default.svc.cluster.local",
        cp.address,
        "10.96.0.1",
    ):
        assert name in text
    for leaf in ("apiserver", "apiserver-kubelet-client"):
        cp.run("openssl", "verify", "-CAfile", f"{pki}/ca.crt", f"{pki}/{leaf}.crt")
    cp.run("openssl", "verify", "-CAfile", f"{pki}/ca.crt", "/var/lib/kubelet/pki/kubelet-client-current.pem")
    keys = cp.run("find", pki, "/var/lib/kubelet/pki", "-name", "*.key", "-o", "-name", "*.pem", "-type", "f")
    modes = cp.run("stat", "-c", "%a %n", *keys.out.split()).out.splitlines()
    assert modes and all(line.startswith("600 ") for line in modes), modes


def test_a_second_run_changes_nothing(cp: Machine, workers: tuple[Machine, ...]) -> None:
    """It is timed after another one: the pictures, and the machines beside it, use the same disk and CPUs."""
    command = join_command(cp)
    for machine, argv in ((cp, ["kubeboot", "init"]), (workers[0], command)):
        state = snapshot(machine)
        pids = machine.run("pgrep", "-x", "kubelet|containerd|haproxy").out
        done = machine.run(*argv)
        began = time.monotonic()
        machine.run(*argv)
        seconds = time.monotonic() - began
        assert "nothing" in (done.out + done.err).lower(), done.err
        assert machine.run("pgrep", "-x", "kubelet|containerd|haproxy").out == pids
        assert difference(state, snapshot(machine)) == []
        assert seconds <= 3.5, f"{argv[:2]} took {seconds:.1f} s"


def test_status_and_kubeconfig(cp: Machine) -> None:
    status = json.loads(cp.run("kubeboot", "status", "-o", "json").out)
    assert {n["name"] for n in status["nodes"]} == {"cp-1", "worker-1", "worker-2"}
    assert all(c["daysLeft"] > 300 for c in status["certificates"])
    assert "certificate-authority-data" in cp.run("kubeboot", "kubeconfig").out


def test_tokens_are_listed_and_deleted(cp: Machine) -> None:
    made = cp.run("kubeboot", "token", "create").out.strip()
    listed = json.loads(cp.run("kubeboot", "token", "list", "-o", "json").out)
    assert made.partition(".")[0] in json.dumps(listed)
    cp.run("kubeboot", "token", "delete", made.partition(".")[0])
    assert made.partition(".")[0] not in cp.run("kubeboot", "token", "list", "-o", "json").out


def test_drift_is_shown_and_repaired(cp: Machine) -> None:
    cp.run("chmod", "0644", "/etc/kubernetes/manifests/kube-scheduler.yaml")
    cp.run("rm", "/etc/sysctl.d/99-kubeboot.conf")
    shown = cp.run("kubeboot", "init", "--dry-run")
    assert "/etc/sysctl.d/99-kubeboot.conf" in shown.out + shown.err
    assert "kube-scheduler.yaml" in shown.out + shown.err
    cp.run("kubeboot", "init")
    assert cp.run("stat", "-c", "%a", "/etc/kubernetes/manifests/kube-scheduler.yaml").out.strip() == "600"
    again = cp.run("kubeboot", "init", "--dry-run")
    assert "nothing would change" in (again.out + again.err).lower()


def test_reset_leaves_nothing_and_is_happy_twice(lab: Lab, before: dict[str, dict[str, str]]) -> None:
    for machine in reversed(lab.machines):
        machine.run("kubeboot", "reset", "--yes")
        assert difference(before[machine.name], snapshot(machine)) == []
        machine.run("kubeboot", "reset", "--yes")
        assert difference(before[machine.name], snapshot(machine)) == []
