"""The static pods for kubeadm's own examples are those that the real `kubeadm init --dry-run` writes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from kubeboot import render
from kubeboot.config import loader
from kubeboot.config.loader import Sources
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.steps import control_plane, etcd, static_pod
from kubeboot.steps.static_pod import StaticPod
from tests.unit import manifest_diff, record_kubeadm

RECORDED = sorted(record_kubeadm.RECORDED.glob("*.json"))
DEBIAN = ("/etc/ssl/certs",)
POD_NETWORK = "kubeboot brings the pod network, so that there is a pod subnet where nobody gives one"
EVERYWHERE = {
    "/metadata/annotations/kubeboot.io/inputs": "restarts the pod when a file changes that it reads at start",
    "/spec/containers/*/startupProbe/*": "seen within a second instead of ten to twenty; four minutes in all",
    "/spec/containers/*/securityContext/*": "no more rights than it needs",
    "/spec/containers/*/image": "kubeboot takes images from its lock file",
}
OF_COMPONENT = {
    "kube-controller-manager": {
        "/spec/containers/*/command/--kube-api-*": "its controllers start five seconds earlier",
        "/spec/containers/*/command/--allocate-node-cidrs": POD_NETWORK,
        "/spec/containers/*/command/--cluster-cidr": POD_NETWORK,
        "/spec/containers/*/command/--service-cluster-ip-range": "kubeadm gives it with a pod subnet only",
    },
}
NODE_IP = "what the kubelet's flag node-ip says is the machine's address everywhere"
OF_EXAMPLE = {
    "kubelet-flags/etcd": {
        "/metadata/annotations/*/etcd.advertise-client-urls": NODE_IP,
        "/spec/containers/etcd/command/*": NODE_IP,
    },
    "kubelet-flags/kube-apiserver": {
        "/metadata/annotations/*/kube-apiserver.advertise-address.endpoint": NODE_IP,
        "/spec/containers/*/command/--advertise-address": NODE_IP,
        "/spec/containers/*/*Probe/httpGet/host": NODE_IP,
    },
}


def ours(spec: ClusterSpec, name: str, node: NodeSettings) -> dict[str, Any]:
    image = f"registry.k8s.io/{name}:v1.37.1"
    made: dict[str, StaticPod] = {
        "etcd": etcd.pod(spec, node, image),
        "kube-apiserver": control_plane.apiserver(spec, node, image),
        "kube-controller-manager": control_plane.controller_manager(spec, image),
        "kube-scheduler": control_plane.scheduler(spec, image),
    }
    found: dict[str, Any] = render.load(static_pod.patched(made[name], spec).render("0" * 32, DEBIAN))
    return found


def load(example: str, tmp_path: pathlib.Path) -> ClusterSpec:
    text = (record_kubeadm.EXAMPLES / f"{example}.yaml").read_text()
    path = tmp_path / "config.yaml"
    path.write_text(text.replace(record_kubeadm.PATCHES_PATH, str(record_kubeadm.PATCHES)))
    return loader.load(Sources(files=[str(path)])).spec


def node(spec: ClusterSpec) -> NodeSettings:
    here = NodeSettings(record_kubeadm.NAME, record_kubeadm.ADDRESS, "control_plane")
    return dataclasses.replace(
        here, name=spec.node.name or here.name, address=spec.node.advertise_address or here.address
    )


CASES = [(path, name) for path in RECORDED for name in json.loads(path.read_text())]


@pytest.mark.parametrize(("path", "name"), CASES, ids=lambda v: getattr(v, "stem", v))
def test_the_static_pods_are_those_of_kubeadm(path: pathlib.Path, name: str, tmp_path: pathlib.Path) -> None:
    theirs = json.loads(path.read_text())[name]
    theirs.pop("status", None)
    spec = load(path.stem, tmp_path)
    found = manifest_diff.differences(theirs, ours(spec, name, node(spec)))
    own = OF_EXAMPLE.get(f"{path.stem}/{name}", {})
    reasons = EVERYWHERE | OF_COMPONENT.get(name, {}) | own
    assert not {p: v for p, v in found.items() if not manifest_diff.matches(p, reasons)}
    assert all(any(manifest_diff.matches(p, {reason: ""}) for p in found) for reason in own)


@pytest.mark.parametrize(("path", "name"), CASES, ids=lambda v: getattr(v, "stem", v))
def test_the_flags_are_kubeadms_in_its_order(path: pathlib.Path, name: str, tmp_path: pathlib.Path) -> None:
    """Repeated flags too, which a table of differences would not see."""
    spec = load(path.stem, tmp_path)
    theirs = json.loads(path.read_text())[name]["spec"]["containers"][0]["command"]
    made = ours(spec, name, node(spec))["spec"]["containers"][0]["command"]
    known = [word.replace(node(spec).address, record_kubeadm.ADDRESS) for word in made]
    wanted = [word.replace(node(spec).address, record_kubeadm.ADDRESS) for word in theirs]
    assert [w for w in known if w in wanted or not is_more(name, w)] == wanted


def is_more(name: str, word: str) -> bool:
    flag = f"/spec/containers/{name}/command/{word.partition('=')[0]}"
    return manifest_diff.matches(flag, OF_COMPONENT.get(name, {}))


def test_every_reason_has_a_difference(tmp_path: pathlib.Path) -> None:
    """The example with nothing but a version differs in everything that has a reason."""
    recorded = json.loads((record_kubeadm.RECORDED / "ha-stacked.json").read_text())
    spec = load("ha-stacked", tmp_path)
    for name in record_kubeadm.COMPONENTS:
        theirs = {k: v for k, v in recorded[name].items() if k != "status"}
        found = manifest_diff.differences(theirs, ours(spec, name, node(spec)))
        own = OF_COMPONENT.get(name, {})
        assert not {r for r in own if not any(manifest_diff.matches(p, {r: ""}) for p in found)}


def test_there_are_ten_examples_and_each_has_its_recording() -> None:
    assert len({path for path, _ in CASES}) >= 10
