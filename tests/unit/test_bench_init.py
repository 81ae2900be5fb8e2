"""What the benchmark of init makes of what it measured, and what its peers are given."""

from __future__ import annotations

import json

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Image
from tests.bench import init_main, observe, peers
from tests.bench.peers import Sample

IMAGES = ("kube-proxy", "flannel", "etcd", "coredns")
CATALOG = Catalog("v1.37.1", "amd64", (), tuple(Image(n, f"example.org/{n}:1", "sha256:0") for n in IMAGES))


def sample(peer: str, seconds: float, restarts: int = 0) -> Sample:
    return Sample(peer, seconds, seconds, 1.0, restarts)


def results(*samples: Sample) -> init_main.Results:
    found = init_main.Results(floors=[3.0, 5.0, 4.0])
    for each in samples:
        found.samples.setdefault(each.peer, []).append(each)
    return found


def test_ratios_are_of_medians_and_absent_where_nothing_was_measured() -> None:
    found = results(
        sample("kubeboot", 10), sample("kubeboot", 30), sample("kubeboot", 12), sample("kubeadm", 40)
    )
    summary = init_main.summary(found)
    assert (summary["kubeboot_seconds"], summary["ratio_documented"], summary["ratio_tuned"]) == (
        12,
        0.3,
        None,
    )
    assert summary["floor_seconds"] == 4.0
    assert json.loads(json.dumps(summary)) == summary


def test_restarts_are_summed_over_all_samples() -> None:
    found = results(sample("kubeboot", 10), sample("kubeboot", 11, restarts=2))
    assert init_main.summary(found)["restarts"] == {"kubeboot": 2}


def test_steps_come_from_the_events_that_end_one() -> None:
    lines = (
        {"kind": "StepEvent", "step": "pki/ca", "state": "started"},
        {"kind": "StepEvent", "step": "pki/ca", "state": "changed", "at": 1.5, "seconds": 0.5},
        {"kind": "RunFinished", "seconds": 9.5},
    )
    text = "\n".join(["no event", *map(json.dumps, lines)])
    assert peers.steps(text) == {
        "steps": {"pki/ca": {"at": 1.5, "seconds": 0.5, "state": "changed"}},
        "run": 9.5,
    }


def test_the_peer_s_kube_proxy_is_as_slow_as_by_default_and_asks_the_api_server_itself() -> None:
    objects = render.load_all(peers.kube_proxy(CATALOG, "192.0.2.11"))
    [config] = [o["data"] for o in objects if o["kind"] == "ConfigMap"]
    assert "nftables" not in render.load(config["config.conf"])
    assert "https://192.0.2.11:6443" in config["kubeconfig.conf"]


def test_a_join_command_is_read_as_kubeadm_prints_it() -> None:
    said = "kubeadm join 192.0.2.11:6443 --token a.b --discovery-token-ca-cert-hash sha256:00"
    assert peers._join(said.split()) == {"endpoint": "192.0.2.11:6443", "token": "a.b", "pin": "sha256:00"}


def test_the_probe_is_a_plain_pod_on_the_pod_network_of_one_node() -> None:
    spec = observe.pod("probe", "cp-1", "true")["spec"]
    assert "hostNetwork" not in spec and spec["nodeSelector"] == {"kubernetes.io/hostname": "cp-1"}
