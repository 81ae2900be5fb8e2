"""Events of runs that go well, go wrong or are only planned, and what the plain reporter says of them."""

from __future__ import annotations

from typing import Any

from kubeboot.cli import report_plain
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    Notice,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    StepWaiting,
)
from tests.fakes.clock import Clock
from tests.unit.cli_support import Paper

DIFF = "--- /etc/a\n+++ /etc/a\n@@ -1 +1 @@\n-old\n+new\n"


def done(
    step: str, title: str, state: Any = "changed", *, host: str = "cp-1", seconds: float = 0.3, **more: Any
) -> Event:
    return StepFinished(step, host, title, state, seconds, 1.0, **more)


def wait(last: str, host: str = "cp-1") -> StepWaiting:
    return StepWaiting("control-plane/ready", host, "the API server to answer", 240.0, last)


GOOD: tuple[Event, ...] = (
    RunStarted("init", "kubernetes · Kubernetes v1.37.1", 5, ("cp-1",)),
    Notice("warning", "swap is on; pods may be evicted oddly", "cp-1"),
    StepStarted("runtime/config", "cp-1", "Configure containerd"),
    StepStarted("pki/ca", "cp-1", "Make the cluster's CA"),
    done("pki/ca", "Make the cluster's CA", "ok", seconds=0.01),
    done(
        "runtime/config",
        "Configure containerd",
        summary="create /etc/containerd/config.toml",
        change="create",
    ),
    StepStarted("control-plane/ready", "cp-1", "Wait for the API server"),
    wait("connection refused"),
    wait("connection refused"),
    wait("HTTP 500"),
    done("control-plane/ready", "Wait for the API server", "ok", seconds=3.51),
    StepStarted("dns/answers", "cp-1", "Ask DNS"),
    Notice("info", "an image was there already"),
    done("dns/answers", "Ask DNS", seconds=125.0),
    done("node/ready", "Wait for the node", seconds=1.0),
    RunFinished(2, 3, 0, 0, 131.2),
)

BAD: tuple[Event, ...] = (
    RunStarted("join", "kubernetes · join", 3, ("w-1", "w-2")),
    StepStarted("kubelet/unit", "w-1", "Start the kubelet"),
    wait("no route to host", "w-2"),
    done("kubelet/unit", "Start the kubelet", "failed", host="w-1", seconds=61.0, reason="KB_TIMEOUT"),
    done("node/ready", "Wait for the node", "skipped", host="w-1", seconds=0.0),
    done("cluster/info", "Publish cluster-info", host="@cluster", seconds=0.2),
    RunFinished(0, 1, 1, 1, 61.4),
)

PLAN: tuple[Event, ...] = (
    RunStarted("init", "kubernetes · Kubernetes v1.37.1", 7, ("cp-1",)),
    done("pki/ca", "Make the CA", "drift", summary="create /etc/kubernetes/pki/ca.crt", change="create"),
    done(
        "kubelet/config",
        "Configure the kubelet",
        "drift",
        summary="change /etc/a",
        change="change",
        impact="restart",
        diff=DIFF,
    ),
    done("runtime/old", "Remove what was", "drift", summary="remove /etc/b", change="remove"),
    done("kernel/modules-file", "Load modules at boot", "ok"),
    done("cluster/info", "Publish cluster-info", "later", summary="after the API server", host="@cluster"),
    done(
        "etcd/manifest",
        "Run etcd",
        "blocked",
        summary="/var/lib/etcd belongs to cluster 0x1f",
        reason="KB_ETCD",
    ),
    RunFinished(1, 4, 1, 0, 0.2),
)


def plain_text(events: tuple[Event, ...], terminal: Terminal, *, verbose: bool = False) -> str:
    paper = Paper()
    reporter = report_plain.Plain(paper, terminal, verbose=verbose, clock=Clock())  # type: ignore[arg-type]
    for event in events:
        reporter.show(event)
    reporter.close()
    return paper.text
