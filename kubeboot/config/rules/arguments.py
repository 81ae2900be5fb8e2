"""Rules for arguments with which no cluster comes up, or which the description has fields for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from kubeboot.config.components import Argument
from kubeboot.config.problems import Problem
from kubeboot.config.spec import ClusterSpec

Fits = Callable[[ClusterSpec, str], bool]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a component's argument must be, why, and what to do instead."""

    section: str
    flag: str
    fits: Fits
    why: str
    fix: str


def _lists(*words: str) -> Fits:
    return lambda spec, text: set(words) <= {word.strip() for word in text.split(",")}


def _is(wanted: Callable[[ClusterSpec], object]) -> Fits:
    return lambda spec, text: text == str(wanted(spec))


def _never(spec: ClusterSpec, text: str) -> bool:
    return False


ARGUMENTS = (
    Rule("apiServer", "anonymous-auth", lambda spec, text: text.lower() not in ("false", "f", "0"),
         "nobody could ask whether it is ready: not the kubelet, not haproxy, not a machine that joins",
         "leave it out; --authentication-config can keep `anonymous` to /livez, /readyz, /healthz and "
         "/api/v1/namespaces/kube-public/configmaps/cluster-info"),
    Rule("apiServer", "authorization-mode", _lists("Node", "RBAC"),
         "kubelets and controllers are allowed what they do by Node and RBAC", "add them: Node,RBAC"),
    Rule("apiServer", "secure-port", _is(lambda spec: spec.api_server.bind_port),
         "others look for it at apiServer.bindPort", "write it there"),
    Rule("apiServer", "advertise-address", _never,
         "all control planes share these arguments", "write node.advertiseAddress on each machine"),
    Rule("apiServer", "service-cluster-ip-range", _is(lambda spec: spec.networking.service_subnet),
         "DNS and certificates follow networking.serviceSubnet", "write it there"),
    Rule("controllerManager", "controllers", _lists("bootstrapsigner", "tokencleaner"),
         "machines join by what bootstrapsigner signs", "add bootstrapsigner,tokencleaner"),
    Rule("controllerManager", "cluster-cidr", _is(lambda spec: spec.networking.pod_subnet),
         "flannel follows networking.podSubnet", "write it there"),
    Rule("controllerManager", "allocate-node-cidrs", lambda spec, text: text.lower() in ("true", "t", "1"),
         "flannel needs a range for each node", "leave it out"),
    Rule("controllerManager", "secure-port", _is(lambda spec: 10257), "probes ask there", "leave it out"),
    Rule("scheduler", "secure-port", _is(lambda spec: 10259), "probes ask there", "leave it out"),
)  # fmt: skip


def _arguments(spec: ClusterSpec) -> Iterator[Problem]:
    given: dict[str, tuple[Argument, ...]] = {
        "apiServer": spec.api_server.extra_args,
        "controllerManager": spec.controller_manager.extra_args,
        "scheduler": spec.scheduler.extra_args,
    }
    for rule in ARGUMENTS:
        for n, argument in enumerate(given[rule.section]):
            if argument.name == rule.flag and not rule.fits(spec, argument.value):
                path = (rule.section, "extraArgs", n, "value")
                yield Problem(path, f"--{rule.flag}={argument.value}: {rule.why}", rule.fix)


ARGUMENT_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (_arguments,)
