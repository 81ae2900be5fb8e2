"""What is given as a token or key, in whichever way, or made: in no log, no error, no repr."""

from __future__ import annotations

import pathlib

import pytest

from kubeboot import errors
from kubeboot.engine.values import Secret
from kubeboot.fleet import orders_cluster
from tests.unit.cli_actions import PIN, SOON, Actions
from tests.unit.cli_support import run

SECRET, KEY = "0123456789canary", "c0ffee5ec2e7" + "5e" * 26
TOKEN = f"abcdef.{SECRET}"
JOIN = ("join", "10.0.0.11:8443", "--discovery-token-ca-cert-hash", PIN)
PLANE = (*JOIN, "--control-plane")
WAYS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "init by argument": (("init", "--token", TOKEN), {}),
    "init by file": (("init", "--token-file", "TOKEN"), {}),
    "init's key": (("init", "--upload-certs", "--certificate-key", KEY), {}),
    "join by argument": ((*JOIN, "--token", TOKEN), {}),
    "join by file": ((*JOIN, "--token-file", "TOKEN"), {}),
    "join by variable": (JOIN, {"KUBEBOOT_TOKEN": TOKEN}),
    "a control plane by arguments": ((*PLANE, "--token", TOKEN, "--certificate-key", KEY), {}),
    "a control plane by files": ((*PLANE, "--token-file", "TOKEN", "--certificate-key-file", "KEY"), {}),
    "a control plane by variables": (PLANE, {"KUBEBOOT_TOKEN": TOKEN, "KUBEBOOT_CERTIFICATE_KEY": KEY}),
    "token create": (("token", "create", TOKEN), {}),
    "token delete": (("token", "delete", TOKEN), {}),
}


def place(tmp_path: pathlib.Path, words: tuple[str, ...]) -> list[str]:
    """The words, with files that hold the secrets for those that stand for them."""
    held = {"TOKEN": TOKEN, "KEY": KEY}
    for name, text in held.items():
        (tmp_path / name).write_text(f"{text}\n")
    return [str(tmp_path / word) if word in held else word for word in words]


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_given_is_told_nobody(way: str, failing: bool, acts: Actions, tmp_path: pathlib.Path) -> None:
    words, variables = WAYS[way]
    told = f"somebody says {TOKEN} and {KEY} and {SECRET} aloud"
    if failing:
        refused = errors.KubebootError(told, hint=told, output=told)
        acts.answers |= dict.fromkeys(("init", "join", "token_create", "token_delete"), refused)
    ran = run(*place(tmp_path, words), "-vv", env=variables)
    assert ran.code == int(failing)
    assert acts.asked and SECRET not in repr(acts.asked) and KEY not in repr(acts.asked)
    text = " ".join((*words, *variables.values()))
    given = [s for s, name in ((SECRET, "TOKEN"), (KEY, "KEY")) if s in text or name in words]
    heard = ran.err + (ran.log or "") + (ran.out if failing else "")
    assert ran.log is not None and [secret for secret in given if secret in heard] == []


@pytest.mark.parametrize("more", [(), ("-o", "json"), ("--print-join-command",)])
def test_what_is_made_is_on_standard_output_alone(acts: Actions, more: tuple[str, ...]) -> None:
    line = Secret(f"kubeboot join 10.0.0.11:8443 --token {TOKEN}")
    acts.answers["token_create"] = orders_cluster.TokenCreateResult(Secret(TOKEN), SOON, line)
    ran = run("token", "create", *more, "-vv")
    assert SECRET in ran.out and ran.log is not None
    assert SECRET not in ran.err + ran.log
