"""The objects that kubeboot makes of a cluster are those that kubeadm 1.37.1 made on a real API server.

golden/kubeadm-1.37.1-objects.json was recorded from `kubeadm init phase upload-config` and `bootstrap-token`
against a bare kube-apiserver of that version, with the configuration that SPEC describes.
"""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config import tuning
from kubeboot.config.spec import ClusterSpec
from kubeboot.kube import bootstrap, configmaps, kinds, rbac
from kubeboot.pki import tokens
from kubeboot.steps import foreign_nodes

GOLDEN = pathlib.Path(__file__).parent / "golden" / "kubeadm-1.37.1-objects.json"
WHERE = "10.0.0.11:8443"
SPEC = ClusterSpec.model_validate_json(
    json.dumps(
        {
            "apiServer": {
                "certSANs": ["k.example"],
                "extraArgs": [{"name": "audit-log-path", "value": "-"}],
                "extraEnvs": [{"name": "GODEBUG", "value": "x"}],
                "extraVolumes": [
                    {"name": "v", "hostPath": "/a", "mountPath": "/b", "readOnly": True, "pathType": "File"}
                ],
            },
            "etcd": {
                "serverCertSANs": ["e.example"],
                "extraArgs": [{"name": "quota-backend-bytes", "value": "1"}],
            },
            "scheduler": {"extraArgs": [{"name": "v", "value": "2"}]},
        }
    )
)

Recorded = dict[tuple[str, str], dict[str, Any]]


def key(obj: Any) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return {key(obj): obj for obj in json.loads(GOLDEN.read_text())}


def test_rbac_is_kubeadms(recorded: Recorded) -> None:
    theirs = {k: obj for k, obj in recorded.items() if "Role" in k[0]}
    ours = {key(obj): obj for obj in rbac.objects() if key(obj)[1] in {name for _, name in theirs}}
    assert {k: bare(obj) for k, obj in ours.items()} == {k: bare(obj) for k, obj in theirs.items()}


def bare(obj: dict[str, Any]) -> dict[str, Any]:
    """The subjects in any order, and what recording adds left out."""
    told = {k: v for k, v in obj.items() if k not in ("apiVersion", "subjects")}
    return {**told, "subjects": sorted(obj.get("subjects", ()), key=lambda s: s["name"])}


def test_what_is_not_kubeadms_is_kubeboots_or_the_administrators(recorded: Recorded) -> None:
    more = {key(obj)[1] for obj in rbac.objects()} - {name for _, name in recorded}
    assert more == {
        "kubeadm:cluster-admins",
        "kubeboot:cluster-config",
        "kubeboot:api-servers",
        "kubeboot:list-nodes",
        "kubeboot:node-pods",
    }


def test_nobody_gets_more_than_one_named_object_to_read() -> None:
    """Besides nodes, which a joining machine looks up and lists, and what pods on every machine mount."""
    for obj in rbac.objects():
        for rule in obj.get("rules", ()):
            if (rule["resources"], rule["verbs"]) == (["nodes"], ["list"]):
                continue
            if key(obj)[1] == "kubeboot:node-pods":
                assert rule["resourceNames"] == [
                    "coredns",
                    "kube-proxy",
                    "kube-root-ca.crt",
                    foreign_nodes.NAME,
                ]
                continue
            assert rule["verbs"] == ["get"]
            assert len(rule.get("resourceNames", ())) == (0 if rule["resources"] == ["nodes"] else 1)


def test_the_administrators_are_bound_first() -> None:
    assert key(rbac.objects()[0]) == ("ClusterRoleBinding", "kubeadm:cluster-admins")


def test_kubeadm_config_is_kubeadms(recorded: Recorded) -> None:
    theirs = recorded["ConfigMap", "kubeadm-config"]
    ours = configmaps.kubeadm_config(SPEC, WHERE)
    assert ours["metadata"] == theirs["metadata"]
    read = [render.load(obj["data"]["ClusterConfiguration"]) for obj in (ours, theirs)]
    tuned = [{"name": name, "value": value} for name, value in tuning.CONTROLLER_MANAGER]
    assert read[0] == {**read[1], "controllerManager": {"extraArgs": tuned}}


def test_cluster_info_is_kubeadms(recorded: Recorded) -> None:
    theirs = recorded["ConfigMap", "cluster-info"]
    ours = configmaps.cluster_info(b"CA", WHERE)
    read = [render.load(obj["data"]["kubeconfig"]) for obj in (ours, theirs)]
    assert [config["clusters"] for config in read] == [read[1]["clusters"]] * 2
    assert not any(config["users"] or config["contexts"] for config in read)


def test_a_tokens_secret_is_kubeadms(recorded: Recorded) -> None:
    theirs = recorded["Secret", "bootstrap-token-abcdef"]
    found = bootstrap.decode(theirs)
    assert found is not None and found.expires is not None
    assert bootstrap.encode(found) == theirs


def test_kubelet_config_carries_the_hash_by_which_kubeadm_knows_it_unedited() -> None:
    made = configmaps.kubelet_config({"kind": "KubeletConfiguration"})
    assert made["data"]["kubelet"] == "kind: KubeletConfiguration\n"
    assert list(made["metadata"]["annotations"].values()) == [
        "sha256:0c9e48f2d43103363e942755f66aed6417462dba490c0fd86df75ec2f86edc0c"
    ]


def test_what_is_one_machines_own_stays_out_of_the_clusters_config() -> None:
    spec = SPEC.model_copy(
        update={
            "node": SPEC.node.model_copy(update={"name": "only-here"}),
            "artifacts": SPEC.artifacts.model_copy(
                update={"bundle": "/srv/bundle", "image_repository": "r.example"}
            ),
        }
    )
    text = configmaps.kubeboot_config(spec, WHERE)["data"]["cluster.yaml"]
    assert "only-here" not in text and "/srv/bundle" not in text
    assert render.load(text)["artifacts"] == {"imageRepository": "r.example"}
    assert render.load(text)["controlPlaneEndpoint"] == WHERE


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
CODES = st.text(tokens.ALPHABET, min_size=16, max_size=16)
TIMES = st.none() | st.datetimes(
    min_value=datetime.datetime(2020, 1, 1), timezones=st.just(datetime.UTC)
).map(lambda t: t.replace(microsecond=0))


@example(16 * "0", None, "true", set())
@given(CODES, TIMES, WORDS, st.sets(st.sampled_from(bootstrap.USAGES)))
def test_a_token_survives_its_secret(
    code: str, expires: datetime.datetime | None, words: str, usages: set[str]
) -> None:
    token = bootstrap.Token(
        tokens.BootstrapToken(code[:6], code), expires, words, tuple(sorted(usages)), (tokens.GROUP,)
    )
    assert bootstrap.decode(bootstrap.encode(token)) == token
    assert token.token.secret not in repr(token).replace(words, "")


@given(
    st.dictionaries(st.sampled_from(["token-id", "token-secret", "expiration", "x"]), st.binary(max_size=20))
)
def test_any_secret_at_all_is_a_token_or_none(data: dict[str, bytes]) -> None:
    coded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    found = bootstrap.decode({"type": tokens.SECRET_TYPE, "data": coded})
    assert found is None or found.token.id == data["token-id"].decode()


@pytest.mark.parametrize("stamp", ["2030-01-01T00:00:00", "tomorrow"])
def test_an_expiry_that_says_nothing_is_no_token(stamp: str) -> None:
    made: Any = bootstrap.encode(bootstrap.Token(tokens.generate()))
    made["data"]["expiration"] = base64.b64encode(stamp.encode()).decode()
    assert bootstrap.decode(made) is None


def test_a_token_that_cannot_do_both_is_not_one_to_join_with() -> None:
    now = bootstrap.now()
    assert bootstrap.Token(tokens.generate()).is_valid(now)
    assert not bootstrap.Token(tokens.generate(), usages=("signing",)).is_valid(now)
    assert not bootstrap.Token(tokens.generate(), groups=()).is_valid(now)
    assert not bootstrap.Token(tokens.generate(), expires=now).is_valid(now)


@pytest.mark.parametrize(
    ("api_version", "kind", "namespace", "name", "path"),
    [
        ("v1", "Node", None, "cp-1", "/api/v1/nodes/cp-1"),
        ("v1", "Node", "ignored", None, "/api/v1/nodes"),
        ("v1", "Pod", None, None, "/api/v1/pods"),
        ("apps/v1", "Deployment", "a", "b", "/apis/apps/v1/namespaces/a/deployments/b"),
        (rbac.VERSION, "Role", "a", "x:y/z", f"/apis/{rbac.VERSION}/namespaces/a/roles/x%3Ay%2Fz"),
    ],
)
def test_paths(api_version: str, kind: str, namespace: str | None, name: str | None, path: str) -> None:
    assert kinds.KNOWN[api_version, kind].path(namespace, name) == path
