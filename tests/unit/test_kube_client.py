"""What the API client asks, and what it makes of the answers, against a real TLS server."""

from __future__ import annotations

import contextlib
import json

import pytest

from kubeboot import errors
from kubeboot.kube import client, http
from kubeboot.kube.api import ApiError, ApiRefused, ApiUnavailable
from kubeboot.kube.patience import Patience
from tests.fakes import tls
from tests.fakes.tls import Reply, failure, reply
from tests.unit.kube_support import MAP, TOKEN, always, by_path, endpoint, in_turn, talking


def test_ready() -> None:
    with talking(always(Reply(200, b"ok"))) as (api, server):
        assert api.ready() is None
        assert server.requests[0].path == "/readyz"


def test_not_ready_names_what_failed() -> None:
    body = b"[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed\nreadyz check failed\n"
    with talking(always(Reply(500, body))) as (api, _):
        last = api.ready()
    assert last is not None and last.endswith("answers 500: etcd, poststarthook/rbac")


def test_get_asks_by_path_and_gives_the_object() -> None:
    with talking(by_path({"/api/v1/namespaces/here/configmaps/x": reply(MAP)})) as (api, _):
        assert api.get("v1", "ConfigMap", "x", "here") == MAP


def test_a_missing_object_is_none() -> None:
    with talking(by_path({})) as (api, _):
        assert api.get("v1", "ConfigMap", "x", "here") is None


def test_a_list_has_the_kinds_that_the_api_leaves_out() -> None:
    bare = {"metadata": {"name": "x"}}
    path = "/api/v1/namespaces/here/secrets?labelSelector=a%3Db"
    with talking(by_path({path: reply({"items": [bare]})})) as (api, _):
        assert api.list("v1", "Secret", "here", "a=b") == [{"apiVersion": "v1", "kind": "Secret", **bare}]


def test_a_list_of_every_namespace() -> None:
    with talking(by_path({"/api/v1/pods": reply({"items": None})})) as (api, _):
        assert api.list("v1", "Pod") == []


def test_apply_is_server_side_and_forced() -> None:
    with talking(always(reply(MAP))) as (api, server):
        assert api.apply(MAP) == MAP
    [request] = server.requests
    assert (request.method, request.headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
    assert request.path == "/api/v1/namespaces/here/configmaps/x?fieldManager=kubeboot&force=true"
    assert json.loads(request.body) == MAP


def test_a_dry_run_says_so() -> None:
    with talking(always(reply(MAP))) as (api, server):
        api.dry_run(MAP)
    assert server.requests[0].path.endswith("&dryRun=All")


def test_create_posts_to_the_collection() -> None:
    with talking(always(reply(MAP, 201))) as (api, server):
        api.create(MAP)
    assert (server.requests[0].method, server.requests[0].path) == (
        "POST",
        "/api/v1/namespaces/here/configmaps?fieldManager=kubeboot",
    )


def test_a_merge_patch() -> None:
    with talking(always(reply(MAP))) as (api, server):
        api.patch_merge("v1", "Node", "cp-1", {"spec": {"taints": None}})
    [request] = server.requests
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.path.startswith("/api/v1/nodes/cp-1?")
    assert json.loads(request.body) == {"spec": {"taints": None}}


def test_delete_tells_whether_it_was_there() -> None:
    with talking(in_turn(reply({"kind": "Status"}), failure(404, "gone"))) as (api, _):
        assert api.delete("v1", "Secret", "x", "here")
        assert not api.delete("v1", "Secret", "x", "here")


def test_other_kinds_are_discovered_once() -> None:
    rows = {"resources": [{"name": "things/status", "kind": "Thing", "namespaced": True},
                          {"name": "things", "kind": "Thing", "namespaced": True}]}  # fmt: skip
    table = {"/apis/a.example/v1": reply(rows), "/apis/a.example/v1/namespaces/n/things/t": reply({"a": 1})}
    with talking(by_path(table)) as (api, server):
        for _ in range(2):
            assert api.get("a.example/v1", "Thing", "t", "n") == {"a": 1}
        assert [request.path for request in server.requests].count("/apis/a.example/v1") == 1


def test_a_kind_that_the_api_does_not_know() -> None:
    thing = {"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t"}}
    with talking(by_path({})) as (api, _):
        assert api.get("a.example/v1", "Thing", "t") is None
        assert api.list("a.example/v1", "Thing") == []
        assert not api.delete("a.example/v1", "Thing", "t")
        with pytest.raises(ApiError, match=r"does not know Thing in a\.example/v1"):
            api.apply(thing)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ApiRefused), (403, ApiRefused), (409, ApiError), (422, ApiError), (503, ApiUnavailable)],
)
def test_refusals_have_the_apis_words_and_never_the_token(
    status: int, error: type[errors.KubebootError]
) -> None:
    with (
        talking(always(failure(status, "because of this")), token=TOKEN) as (api, server),
        pytest.raises(error) as caught,
    ):
        api.apply(MAP)
    assert type(caught.value) is error
    assert status == 401 or "because of this" in caught.value.message
    assert isinstance(caught.value, ApiError) or caught.value.hint
    assert TOKEN not in repr(caught.value) + str(caught.value.hint)
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_an_answer_that_is_no_object() -> None:
    with (
        talking(always(Reply(200, b"<html>"))) as (api, _),
        pytest.raises(ApiUnavailable, match="not as a Kubernetes API server does"),
    ):
        api.get("v1", "Node", "x")


def test_a_busy_server_is_asked_again() -> None:
    busy = failure(429, "slow down")
    with talking(in_turn(busy, busy, reply(MAP))) as (api, server):
        assert api.apply(MAP) == MAP
    assert len(server.requests) == 3


def test_a_busy_server_says_how_long() -> None:
    waits: list[float] = []
    with (
        tls.serving(in_turn(Reply(503, headers={"Retry_After": "30"}), reply(MAP))) as server,
        contextlib.closing(
            client.Client(http.Session(endpoint(server)), Patience(pause=waits.append))
        ) as api,
    ):
        api.get("v1", "Node", "x")
    assert waits == [1.0]


def test_an_eviction_that_a_budget_forbids_says_which() -> None:
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods"}]
    refusal = {"kind": "Status", "message": "Cannot evict pod.", "details": {"causes": causes}}
    with talking(always(reply(refusal, 429))) as (api, server):
        assert api.evict("x", "here") == "Cannot evict pod. The disruption budget web needs 2 healthy pods"
        assert [(r.method, r.path) for r in server.requests] == [
            ("POST", "/api/v1/namespaces/here/pods/x/eviction")
        ]


@pytest.mark.parametrize("answer", [reply({"kind": "Status"}, 201), failure(404, "not found")])
def test_an_eviction_is_granted_or_not_needed(answer: Reply) -> None:
    with talking(always(answer)) as (api, _):
        assert api.evict("x", "here") is None


def test_an_eviction_that_fails_for_another_reason_is_an_error() -> None:
    with (
        talking(always(failure(500, "two budgets"))) as (api, _),
        pytest.raises(ApiError, match="two budgets"),
    ):
        api.evict("x", "here")
