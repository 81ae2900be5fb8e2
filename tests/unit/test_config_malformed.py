"""Malformed configurations: no traceback, every problem at once, where it is and what to write instead."""

from __future__ import annotations

import functools
import re

import pytest

from tests.unit.cli_support import Ran, golden, run
from tests.unit.malformed import CASES, HEAD

_LINE = re.compile(r"^  (<stdin>(:\d+)?): \S")


@functools.cache
def _validate(text: bytes) -> Ran:
    return run("config", "validate", "-", stdin=text)


@pytest.mark.parametrize("text", CASES, ids=range(len(CASES)))
def test_a_malformed_configuration_is_refused(text: bytes) -> None:
    ran = _validate(text)
    assert (ran.code, ran.out, ran.log) == (4, "", None)
    assert "Traceback" not in ran.err
    assert all(line.isprintable() for line in ran.err.splitlines())
    problems = [line for line in ran.err.splitlines() if line.startswith("  ")]
    count = int(re.match(r"error: (\d+) problem", ran.err)[1])  # type: ignore[index]
    assert count == len(problems)
    assert all(_LINE.match(line) for line in problems)
    assert ran.err.endswith(
        "hint: `kubeboot config schema` describes every field\nexit 4, reason KB_CONFIG\n"
    )


def test_what_is_said_of_each() -> None:
    said = []
    for n, text in enumerate(CASES):
        shown = text.removeprefix(HEAD.encode()).decode("utf-8", "backslashreplace")[:160]
        problems = [line for line in _validate(text).err.splitlines() if line.startswith("  ")]
        said.append("\n".join([f"[{n}] {shown!a}", *problems]))
    golden("cli-malformed.txt", "\n\n".join(said) + "\n")


def test_everything_wrong_in_a_long_file_is_said_in_one_go() -> None:
    """One problem of each kind in one file: no kind keeps another from being found."""
    text = f"""{HEAD}
clusterNmae: a
clusterName: A_B
kubernetesVersion: 1.37
networking:
  podSubnet: 10.244.0.0
  serviceSubnet: no
  dnsDomain: Cluster.Local
apiServer:
  bindPort: "6443"
  certSANs: [a b]
  extraArgs:
  - name: --v
    value: 4
controllerManager: []
etcd:
  dataDir: etcd
  dataDir: /
certificates: {{algorithm: RSA, validityDays: 0}}
node:
  name: node_1
  labels: {{1: a}}
---
foo: bar
"""
    ran = _validate(text.encode())
    lines = {int(m[1]) for m in re.finditer(r"<stdin>:(\d+): ", ran.err)}
    assert lines == {4, 5, 6, 8, 9, 10, 12, 13, 15, 16, 17, 19, 20, 21, 23, 24, 26}
    golden("cli-malformed-all.txt", ran.err)


def test_there_are_enough_cases() -> None:
    assert len(set(CASES)) == len(CASES) >= 300
