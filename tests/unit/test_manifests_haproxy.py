"""haproxy.cfg: as the design has it, for a control plane, a worker and IPv6."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer
from kubeboot.steps import haproxy, load_balancer

SPEC = ClusterSpec()
NODE = NodeSettings("cp-2", "10.0.0.12", "control_plane")
WORKER = NodeSettings("w-1", "10.0.0.21", "worker")
BACKENDS = (("cp-1", "10.0.0.11", 6443), ("cp-2", "10.0.0.12", 6443), ("cp-3", "10.0.0.13", 6443))


def config(node: NodeSettings, spec: ClusterSpec = SPEC, backends: object = BACKENDS) -> str:
    return haproxy.config(spec, node) + haproxy.servers(node, backends)  # type: ignore[arg-type]


def lines(text: str, word: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith(word + " ")]


def test_a_control_plane_prefers_its_own_api_server() -> None:
    made = config(NODE)
    assert lines(made, "server") == [
        "server 10.0.0.12:6443 10.0.0.12:6443",
        "server 10.0.0.11:6443 10.0.0.11:6443 backup",
        "server 10.0.0.13:6443 10.0.0.13:6443 backup",
    ]
    assert "option allbackups" in made
    assert " inter 1s " in lines(made, "default-server")[0]


def test_a_slow_machine_gives_its_servers_more_time() -> None:
    made = config(dataclasses.replace(NODE, timeout_scale=10))
    assert lines(made, "timeout")[:2] == ["timeout connect 5s", "timeout check 10s"]
    assert " inter 10s fastinter 2500ms downinter 5s " in lines(made, "default-server")[0]
    assert config(dataclasses.replace(NODE, timeout_scale=0.5)) == config(NODE)


def test_a_worker_uses_all_of_them() -> None:
    made = config(WORKER)
    assert [line.split()[-1] for line in lines(made, "server")] == [f"10.0.0.1{n}:6443" for n in (1, 2, 3)]
    assert "allbackups" not in made
    assert " inter 1s fastinter 250ms downinter 500ms " in lines(made, "default-server")[0]


@pytest.mark.parametrize(
    ("node", "bind"),
    [
        (NODE, "*:9443"),
        (WORKER, "127.0.0.1:9443"),
        (dataclasses.replace(NODE, address="fd00::12"), ":::9443 v4v6"),
    ],
)
def test_where_it_listens(node: NodeSettings, bind: str) -> None:
    spec = ClusterSpec(load_balancer=LoadBalancer(port=9443))
    assert lines(config(node, spec), "bind")[0] == f"bind {bind}"


def test_only_the_machine_itself_can_ask_for_its_health() -> None:
    assert lines(config(NODE), "bind")[1] == "bind 127.0.0.1:8444"
    assert load_balancer.pod(SPEC, NODE, "haproxy").port == haproxy.health_port(SPEC) == 8444


@pytest.mark.parametrize("node", [NODE, WORKER])
def test_it_refuses_when_no_server_is_ready_and_verifies_those_that_say_so(node: NodeSettings) -> None:
    made = config(node)
    assert "tcp-request connection reject if { nbsrv(apiservers) eq 0 }" in made
    check = lines(made, "default-server")[0]
    assert "check-ssl check-sni kubernetes verify required verifyhost kubernetes" in check
    assert "ca-file /etc/kubernetes/pki/ca.crt" in check
    assert "on-marked-down shutdown-sessions" in check and "init-addr none" in check and "fall 2" in check
    assert lines(made, "http-check")[0].startswith("http-check send meth GET uri /readyz ")


def test_connections_are_limited_and_may_be_silent_for_hours() -> None:
    made = config(NODE)
    assert lines(made, "maxconn") == ["maxconn 4000"]
    assert lines(made, "fd-hard-limit") == ["fd-hard-limit 8200"]
    timeouts = dict(line.split()[1:] for line in lines(made, "timeout"))
    assert (timeouts["connect"], timeouts["check"], timeouts["tunnel"]) == ("500ms", "1s", "24h")


def test_ipv6_servers_get_brackets() -> None:
    made = config(dataclasses.replace(NODE, address="fd00::12"), backends=(("cp-2", "fd00::12", 6443),))
    assert lines(made, "server") == ["server [fd00::12]:6443 [fd00::12]:6443"]


def test_the_order_in_which_backends_are_named_changes_nothing() -> None:
    assert config(WORKER) == config(WORKER, backends=BACKENDS[::-1])
