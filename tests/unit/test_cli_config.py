"""`kubeboot config`, and kubeadm's documents as the configuration of a run."""

from __future__ import annotations

import json
import pathlib

import pytest

from kubeboot.engine.values import Secret
from tests.unit.cli_actions import JOIN, PIN, TOKEN, Actions, cluster_file
from tests.unit.cli_support import Ran, golden, run


def test_config_print_is_a_configuration_file(acts: Actions, tmp_path: pathlib.Path) -> None:
    printed = run("config", "print", "--defaults")
    golden("cli-config-defaults.yaml", printed.out)
    path = tmp_path / "c.yaml"
    path.write_text(printed.out)
    assert run("config", "print", "--config", str(path)) == printed
    assert run("config", "validate", str(path)) == Ran(0, "", f"{path}: valid\n")
    assert json.loads(run("config", "print", "-o", "json").out)["kind"] == "Cluster"


def test_config_validate(acts: Actions, tmp_path: pathlib.Path) -> None:
    bad = cluster_file(tmp_path / "bad.yaml", clusterNmae="x", networking={"podSubnet": "10.0.0.0"})
    ran = run("config", "validate", str(bad))
    assert ran.code == 4
    golden("cli-config-invalid.txt", ran.err.replace(str(tmp_path), "TMP"))
    found = json.loads(run("config", "validate", "-o", "json", str(bad)).out)
    assert (found["kind"], found["exitCode"], found["reason"]) == ("Error", 4, "KB_CONFIG")
    assert run("config", "validate").err == "no file was given, and the defaults are valid\n"


def test_config_schema_describes_every_field(acts: Actions) -> None:
    found = json.loads(run("config", "schema").out)
    assert set(found["required"]) == {"apiVersion", "kind"}
    assert found["properties"]["kind"] == {"const": "Cluster", "title": "kind"}
    assert found["additionalProperties"] is False
    assert "certSANs" in found["$defs"]["ApiServer"]["properties"]


def test_kubeadm_documents_set_the_run_too(acts: Actions, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kubeadm.yaml"
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
        f"    apiServerEndpoint: 10.0.0.11:6443\n    token: {TOKEN}\n    caCertHashes: ['{PIN}']\n"
        "nodeRegistration:\n  name: w-9\n  imagePullSerial: true\n  ignorePreflightErrors: [Swap]\n"
    )
    ran = run("join", "--config", str(path))
    (found,) = acts.asked
    assert (found.host, found.port, found.token, found.ca_pins) == ("10.0.0.11", 6443, Secret(TOKEN), (PIN,))
    assert (found.spec.node.name, found.ignore_preflight) == ("w-9", {"Swap"})
    assert "warning: " in ran.err
    assert "nodeRegistration.imagePullSerial has no effect" in ran.err


def test_a_control_plane_that_kubeadms_document_describes(acts: Actions, tmp_path: pathlib.Path) -> None:
    path, key = tmp_path / "kubeadm.yaml", "1f" * 32
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
        f"    apiServerEndpoint: 10.0.0.11:6443\n    token: {TOKEN}\n    caCertHashes: ['{PIN}']\n"
        f"controlPlane: {{localAPIEndpoint: {{advertiseAddress: 10.100.0.2}}, certificateKey: '{key}'}}\n"
    )
    ran = run("join", "--config", str(path), "-v", "-v")
    (found,) = acts.asked
    assert (found.role, found.certificate_key) == ("control_plane", Secret(key))
    assert found.spec.node.advertise_address == "10.100.0.2", "the default ranges are not this cluster's"
    assert key not in ran.err + ran.out + (ran.log or "")


@pytest.mark.parametrize("upload", [True, False])
def test_kubeadms_certificate_key_is_for_an_upload(acts: Actions, upload: bool) -> None:
    text = f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ncertificateKey: '{'1f' * 32}'\n"
    ran = run("init", "--config", "-", *(["--upload-certs"] if upload else []), stdin=text)
    (found,) = acts.asked
    assert found.certificate_key == (Secret("1f" * 32) if upload else None)
    assert ("certificateKey has no effect without --upload-certs" in ran.err) is not upload


def test_a_document_for_another_command_is_named_and_not_read(acts: Actions) -> None:
    text = "".join(
        f"---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}Configuration\n"
        f"nodeRegistration: {{name: {kind.lower()}}}\n"
        for kind in ("Init", "Join")
    )
    for line, other in ((("init",), "Join"), (JOIN, "Init")):
        ran = run(*line, "--config", "-", stdin=text)
        assert acts.asked[-1].spec.node.name == line[0]
        assert f": {other}Configuration has no effect on this command" in ran.err
