"""Those who are measured: kubeboot, kubeadm as documented, and kubeadm by one who knows it well."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from tests.bench import machines, observe
from tests.bench.machines import HERE, Machine

WITHIN = 240.0
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
INIT = "kubeadm init --config /etc/bench/kubeadm.yaml --ignore-preflight-errors=all"
APPLY = f"{KUBECTL} apply -f /etc/bench/kube-proxy.yaml -f /etc/bench/flannel.yaml"
DOCUMENTED = f"set -e; {INIT}; {APPLY}"
TUNED = f"""
(until curl --silent --insecure --fail --max-time 1 https://127.0.0.1:6443/readyz >/dev/null
 do sleep 0.1; done
 until {APPLY}; do sleep 0.2; done) &
{INIT} && wait
"""
UNPACK = """set -e
tar -xf /etc/bench/peer.tar -C /
systemctl daemon-reload
printf 'overlay\\nbr_netfilter\\n' >/etc/modules-load.d/k8s.conf
modprobe overlay; modprobe br_netfilter
sysctl -q -w net.ipv4.ip_forward=1
systemctl enable --quiet --now containerd.service
for image in /opt/images/*.tar; do ctr --namespace k8s.io images import "$image" >/dev/null; done
"""


@dataclasses.dataclass
class Sample:
    """One measured run; `seconds` is to the answer, `parts` what else is known of it."""

    peer: str
    seconds: float
    command: float
    load: float
    restarts: int = 0
    parts: dict[str, Any] = dataclasses.field(default_factory=dict)


def place_kubeadm(machine: Machine, catalog: Catalog, *, tuned: bool, address: str = "") -> None:
    """kubeadm, its kubelet's unit and what is applied with kubectl."""
    server = address or machine.address
    subprocess.run(
        (
            "docker",
            "cp",
            "-q",
            str(machines.cached("kubeadm")),
            f"{machine.container}:/usr/local/bin/kubeadm",
        ),
        check=True,
    )
    values = {
        "ADDRESS": machine.address,
        "KUBERNETES": catalog.kubernetes_version,
        "KEYS": "ECDSA-P256" if tuned else "RSA-2048",
        "ETCD": catalog.image("etcd").name.rpartition(":")[2],
        "COREDNS": catalog.image("coredns").name.rpartition(":")[2],
        "FLANNEL": catalog.image("flannel").name,
    }
    drop_in = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
    machine.write("/etc/systemd/system/kubelet.service", (HERE / "peer/kubelet.service").read_bytes())
    machine.write(drop_in, (HERE / "peer/10-kubeadm.conf").read_bytes())
    machine.write("/etc/bench-resolv.conf", f"nameserver {machine.address}\n".encode())
    for name in ("kubeadm.yaml", "flannel.yaml"):
        text = (HERE / "peer" / name).read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        machine.write(f"/etc/bench/{name}", text.encode())
    machine.write("/etc/bench/kube-proxy.yaml", kube_proxy(catalog, server).encode())
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "-q", "kubelet.service")


def kube_proxy(catalog: Catalog, server: str) -> str:
    """kubeboot's own unprivileged kube-proxy, by the API server's address instead of a load balancer."""
    own = "/var/lib/kube-proxy/kubeconfig.conf"
    values = {"kubeconfig": own, "pod_subnet": "10.244.0.0/16", "ipv6": False}
    values |= {"server": f"https://{server}:6443"}
    files = tuple(
        (name, _theirs(render.template(f"kube-proxy/{name}.j2", **values)))
        for name in ("config.conf", "kubeconfig.conf")
    )
    image = catalog.image("kube-proxy").name
    template = "kube-proxy/objects.yaml.j2"
    return render.template(template, image=image, files=files, inputs="", node_kubeconfig="")


def _theirs(text: str) -> str:
    """Without what kubeboot does to be faster."""
    config = render.load(text)
    config.pop("nftables", None)
    return render.dump(config)


def _sample(peer: str, machine: Machine, act: Callable[[float], dict[str, Any]]) -> Sample:
    """Run `act`, which gets the time of the start, until the pod is answered."""
    load, began = machines.load(), time.monotonic()
    watch = observe.Watch(machine, machine, "probe", observe.ASK)
    ended: list[float] = []
    parts: dict[str, Any] = {}
    errors: list[BaseException] = []

    def work() -> None:
        try:
            parts.update(act(began))
        except BaseException as error:
            errors.append(error)
        ended.append(time.monotonic())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        seen = watch.answered(WITHIN)
    finally:
        if errors:
            raise errors[0]
    thread.join(WITHIN)
    if errors:
        raise errors[0]
    return Sample(peer, seen - began, ended[0] - began, load, observe.restarts(machine), parts)


def kubeboot(machine: Machine) -> Sample:
    """`kubeboot init`, with the times of its steps."""

    return _sample("kubeboot", machine, lambda began: _run(machine, began, "init"))


def _run(machine: Machine, began: float, *argv: str) -> dict[str, Any]:
    return steps(machine.lines("kubeboot", *argv, "-o", "json"), began)


def steps(lines: Iterable[str], began: float) -> dict[str, Any]:
    """When the plan began, counted from the command; when each step ended, counted from the plan."""
    found: dict[str, Any] = {"steps": {}}
    for line in lines:
        event = json.loads(line)
        if event["kind"] == "RunStarted":
            found["plan"] = time.monotonic() - began
        elif event["kind"] == "StepEvent" and "at" in event:
            found["steps"][event["step"]] = {name: event[name] for name in ("at", "seconds", "state")}
    return found


def documented(machine: Machine) -> Sample:
    """kubeadm init; then kubectl apply; then waiting."""
    return _sample("kubeadm", machine, lambda _: {"said": machine.run("sh", "-c", DOCUMENTED)[-200:]})


def tuned(machine: Machine) -> Sample:
    """The same with ECDSA keys, and everything applied the moment readyz answers."""
    return _sample("kubeadm-tuned", machine, lambda _: {"said": machine.run("sh", "-c", TUNED)[-200:]})


def scripted(machine: Machine) -> Sample:
    """From an empty machine: unpack, ctr import, kubeadm, kubectl apply."""
    script = f"{UNPACK}{INIT}\n{APPLY}\n"
    return _sample("scripted", machine, lambda _: {"said": machine.run("sh", "-c", script)[-200:]})


def empty(machine: Machine) -> Sample:
    """`kubeboot init` on an empty machine, from the bundle."""
    return dataclasses.replace(kubeboot(machine), peer="kubeboot-empty")


def join(peer: str, control_plane: Machine, worker: Machine) -> Sample:
    """A worker joins: until a pod that waited for it runs there."""
    load = machines.load()
    command = {
        "kubeboot": ("kubeboot", "token", "create", "--print-join-command"),
        "kubeadm": ("kubeadm", "token", "create", "--print-join-command",
                    "--kubeconfig", "/etc/kubernetes/admin.conf"),
    }[peer]  # fmt: skip
    argv = control_plane.run(*command).split()
    if peer == "kubeadm":
        worker.write("/etc/bench/join.yaml", join_config(argv, worker).encode())
        argv = ["kubeadm", "join", "--config", "/etc/bench/join.yaml", "--ignore-preflight-errors=all"]
    watch = observe.Watch(control_plane, worker, "joined", observe.RUNS)
    time.sleep(1.0)  # until the pod is there and waits
    began = time.monotonic()
    parts = _run(worker, began, *argv[1:]) if peer == "kubeboot" else {"said": worker.run(*argv)[-200:]}
    ended = time.monotonic()
    seen = watch.answered(WITHIN)
    return Sample(f"{peer}-join", seen - began, ended - began, load, observe.restarts(control_plane), parts)


JOIN = """apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {{apiServerEndpoint: "{endpoint}", token: "{token}", caCertHashes: ["{pin}"]}}
nodeRegistration:
  kubeletExtraArgs:
    - {{name: node-ip, value: "{node}"}}
"""


def join_config(argv: list[str], machine: Machine) -> str:
    """kubeadm's description of a join, from the command that it prints."""
    return JOIN.format(**_join(argv), node=machine.address)


def _join(argv: list[str]) -> Mapping[str, str]:
    after = dict(itertools.pairwise(argv))
    return {
        "endpoint": argv[2],
        "token": after["--token"],
        "pin": after["--discovery-token-ca-cert-hash"],
    }
