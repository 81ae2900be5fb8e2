"""kubeadm's documents as input: what is not taken is refused or warned of, never dropped silently."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.config import kubeadm, loader
from kubeboot.config.loader import Sources
from kubeboot.config.problems import InvalidConfig
from kubeboot.config.purpose import PRINT
from tests.unit.config_support import kubeadm_document, load

EXAMPLES = pathlib.Path(__file__).parent / "golden" / "cli-kubeadm-examples"


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfig) as caught:
        load(text)
    return tuple(str(p) for p in caught.value.problems)


CLUSTER, INIT, JOIN, KUBELET = (f"{kind}Configuration" for kind in ("Cluster", "Init", "Join", "Kubelet"))
REFUSED: list[tuple[str, Mapping[str, Any], str]] = [
    (CLUSTER, {"clusterNmae": "a"}, "clusterNmae: unknown field (did you mean `clusterName`?)"),
    (CLUSTER, {"networking": {"podCIDR": "a"}}, "networking.podCIDR: unknown field"),
    (CLUSTER, {"networking": "10.0.0.0/8"}, "networking: must be a mapping of fields"),
    (CLUSTER, {"networking": {"podSubnet": "10.0.0.0"}}, "networking.podSubnet: `10.0.0.0` is not"),
    (CLUSTER, {"imageRepository": "https://x"}, "imageRepository: `https://x` is a URL"),
    (CLUSTER, {"encryptionAlgorithm": "DSA"}, "encryptionAlgorithm: `DSA` is not one of"),
    (CLUSTER, {"etcd": {"external": {"endpoints": ["http://a:2379"]}}}, "is not an https URL"),
    (CLUSTER, {"etcd": {"external": {"endpoint": ["a"]}}}, "did you mean `endpoints`?"),
    (CLUSTER, {"certificatesDir": "/pki"}, "certificatesDir: kubeboot keeps certificates in"),
    (CLUSTER, {"certificateValidityPeriod": "1h"}, "not a duration of at least a day"),
    (CLUSTER, {"certificateValidityPeriod": 365}, "certificateValidityPeriod: must be text"),
    (CLUSTER, {"dns": {"disabled": "yes"}}, "dns.disabled: must be true or false"),
    (CLUSTER, {"dns": {"disable": True}}, "dns.disable: unknown field (did you mean `disabled`?)"),
    (CLUSTER, {"apiServer": {"extraArgs": {"v": "4"}}}, "apiServer.extraArgs: must be a list"),
    (CLUSTER, {"apiServer": {"extraEnvs": [{"name": "A", "valueFrom": {}}]}}, "valueFrom: is not supported"),
    (CLUSTER, {"apiServer": {"timeoutForControlPlane": "4m"}}, "timeoutForControlPlane: unknown field"),
    (CLUSTER, {"kubernetesVersion": "v1.21.0"}, "kubernetesVersion: `v1.21.0` is not supported"),
    (INIT, {"localAPIEndpoint": {"bindPort": "6443"}}, "localAPIEndpoint.bindPort: must be"),
    (INIT, {"nodeRegistration": {"name": "A_B"}}, "nodeRegistration.name: `A_B` is not made of"),
    (INIT, {"nodeRegistration": {"ignorePreflightErrors": "all"}}, "must be a list of texts"),
    (INIT, {"bootstrapTokens": {"token": "x"}}, "bootstrapTokens: must be a list"),
    (INIT, {"bootstrapTokens": ["x"]}, "bootstrapTokens[0]: must be a mapping"),
    (INIT, {"bootstrapTokens": [{"token": "x"}]}, "this is not a bootstrap token"),
    (INIT, {"bootstrapTokens": [{"ttl": "a day"}]}, "bootstrapTokens[0].ttl: is not a duration"),
    (INIT, {"bootstrapTokens": [{"tll": "1h"}]}, "bootstrapTokens[0].tll: unknown field"),
    (INIT, {"skipPhases": ["nonsense"]}, "there is no phase `nonsense`"),
    (INIT, {"dryRun": "true"}, "dryRun: must be true or false"),
    (JOIN, {"discovery": {"file": {"kubeConfigPath": "/x"}}}, "discovery by file is not supported"),
    (JOIN, {"discovery": {"bootstrapToken": {"unsafeSkipCAVerification": True}}}, "cannot verify"),
    (JOIN, {"discovery": {"bootstrapToken": {"apiServerEndpoint": "10.0.0.11"}}}, "has no port"),
    (JOIN, {"discovery": {"bootstrapToken": {"apiServerEndpoint": 6443}}}, "must be text"),
    (JOIN, {"discovery": {"bootstrapToken": {"token": "x"}}}, "this is not a bootstrap token"),
    (JOIN, {"controlPlane": []}, "controlPlane: must be a mapping"),
    (JOIN, {"controlPlane": {"certificatekey": "x"}}, "certificatekey: unknown field (did you mean"),
    (JOIN, {"controlPlane": {"certificateKey": "x"}}, "controlPlane.certificateKey: "),
    (JOIN, {"caCertPath": "/ca.crt"}, "kubeboot keeps the CA in"),
    (KUBELET, {"cgroupDriver": "cgroupfs"}, "sets up containerd and the kubelet for systemd"),
    (KUBELET, {"staticPodPath": "/pods"}, "uses /etc/kubernetes/manifests"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(kind: str, fields: Mapping[str, Any], message: str) -> None:
    problems = _problems(kubeadm_document(kind, **fields))
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith("<stdin>:") for problem in problems)


NOTED: list[tuple[str, Mapping[str, Any], str]] = [
    (CLUSTER, {"featureGates": {"RootlessControlPlane": True}}, "featureGates"),
    (CLUSTER, {"dns": {"imageTag": "v1.12.0"}}, "dns.imageTag"),
    (CLUSTER, {"etcd": {"local": {"imageTag": "3.5.0"}}}, "etcd.local.imageTag"),
    (
        JOIN,
        {"controlPlane": {"localAPIEndpoint": {"bindPort": 7443}}},
        "controlPlane.localAPIEndpoint.bindPort",
    ),
    (INIT, {"timeouts": {"kubernetesAPICall": "40s"}}, "timeouts.kubernetesAPICall"),
    (INIT, {"nodeRegistration": {"criSocket": "unix:///run/crio/crio.sock"}}, "nodeRegistration.criSocket"),
    (INIT, {"nodeRegistration": {"imagePullSerial": False}}, "nodeRegistration.imagePullSerial"),
    (INIT, {"bootstrapTokens": [{"description": "x"}]}, "bootstrapTokens[0].description"),
    (INIT, {"bootstrapTokens": [{}, {"ttl": "1h"}]}, "bootstrapTokens[1]"),
    (JOIN, {"discovery": {"timeout": "5m"}}, "discovery.timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "field"), NOTED, ids=lambda v: str(v)[:40])
def test_warned_of(kind: str, fields: Mapping[str, Any], field: str) -> None:
    (warning,) = load(kubeadm_document(kind, **fields)).warnings
    assert f": {field} has no effect: " in warning
    assert "ff" * 32 not in warning


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_kubeadms_own_examples_are_understood(path: pathlib.Path) -> None:
    """Each is accepted, or refused for what kubeboot does not do; no field of kubeadm's is unknown."""
    try:
        loader.load(Sources(files=[str(path)]), PRINT)
    except InvalidConfig as error:
        said = [str(p) for p in error.problems]
        assert not [s for s in said if "unknown field" in s]
        assert all(any(reason in s for reason in HONEST_REFUSALS) for s in said), said


HONEST_REFUSALS = (
    "is not supported by this kubeboot",
    "cannot verify; give caCertHashes",
    "discovery by file is not supported",
    "is smaller than the /24 of one node",
)


def test_there_are_ten_examples() -> None:
    assert len(list(EXAMPLES.glob("*.yaml"))) >= 10


FIELDS = [
    (kind, field)
    for (_, kind), table in kubeadm.KINDS.items()
    for field in table
    if kind.startswith(("I", "C", "J"))
]


@given(st.sampled_from(FIELDS), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
))  # fmt: skip
def test_any_value_in_any_field_is_taken_warned_of_or_refused(where: tuple[str, str], value: Any) -> None:
    kind, field = where
    data: Any = value
    for part in reversed(field.split(".")):
        data = {part: data}
    try:
        load(kubeadm_document(kind, **data))
    except InvalidConfig as error:
        assert error.problems
