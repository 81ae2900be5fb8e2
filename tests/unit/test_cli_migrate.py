"""`config migrate` and `config print`: what they print can be used, and what they cannot say is on stderr."""

from __future__ import annotations

import pathlib

import pytest

from kubeboot import render
from kubeboot.config import describe, loader
from kubeboot.config.loader import Sources
from kubeboot.config.purpose import PRINT, Purpose
from tests.unit.cli_support import run

EXAMPLES = pathlib.Path(__file__).parent / "golden" / "cli-kubeadm-examples"
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
HEAD = "apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\n"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_what_it_prints_means_the_same(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    ran = run("config", "migrate", str(path))
    assert "Traceback" not in ran.err
    if ran.code:
        assert (ran.code, ran.out) == (4, "")
        return
    made = tmp_path / "cluster.yaml"
    made.write_text(ran.out)
    purpose = Purpose(joins="join" in path.stem, read_files=False)
    again = loader.load(Sources(files=[str(made)]), purpose)
    assert again.spec == loader.load(Sources(files=[str(path)]), PRINT).spec
    assert again.warnings == ()


def test_what_belongs_to_one_run_is_said_with_its_flag() -> None:
    ran = run("config", "migrate", str(EXAMPLES / "full-init-supported.yaml"))
    assert ran.code == 0
    for words in (
        "the bootstrap token is not part of a Cluster document: give it with --token-file",
        "give it with --token-ttl 24h",
        "give --skip-phases preflight,dns,proxy",
        "give --ignore-preflight-errors IsPrivilegedUser",
        "certificateKey is not part of a Cluster document: give it with --certificate-key-file",
        "etcd.local.imageTag has no effect: ",
    ):
        assert words in ran.err
    assert "c0izixklcxtmnze7" not in ran.err + ran.out, "a token is a secret"
    assert "e6a2eb85" not in ran.err + ran.out, "a certificate key is a secret"


def test_it_prints_no_more_than_was_said() -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: a\n"
    ran = run("config", "migrate", "-", stdin=text)
    assert (ran.out, ran.err) == (f"{HEAD}clusterName: a\n", "")


def test_the_machines_own_file_has_no_part_in_it(tmp_path: pathlib.Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"{HEAD}clusterName: own\n")
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
    assert run("config", "migrate", "-", stdin=text, default_file=own).out == HEAD


def test_files_are_named_or_with_effective_read(tmp_path: pathlib.Path) -> None:
    policy, patches = tmp_path / "policy.yaml", tmp_path / "patches"
    policy.write_text(POLICY)
    patches.mkdir()
    (patches / "etcd+merge.yaml").write_text("metadata: {labels: {a: b}}\n")
    text = f"{HEAD}audit: {{policyFile: {policy}}}\npatches: {{directory: {patches}}}\n"
    named = render.load(run("config", "print", "--config", "-", stdin=text).out)
    assert named["audit"]["policyFile"] == str(policy) and named["patches"]["directory"] == str(patches)
    ran = run("config", "print", "--effective", "--config", "-", stdin=text)
    read = render.load(ran.out)
    assert read["audit"]["policy"]["rules"] == [{"level": "Metadata"}] and "policyFile" not in read["audit"]
    assert read["patches"]["inline"] == [
        {"target": "etcd", "type": "merge", "patch": "metadata: {labels: {a: b}}\n"}
    ]
    assert run("config", "print", "--config", "-", stdin=ran.out).out == ran.out


def test_problems_of_a_file_are_told_where_it_is_named(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: v1\nkind: Policy\nrules: []\n")
    ran = run("config", "validate", "-", stdin=f"{HEAD}audit:\n  policyFile: {policy}\n")
    assert ran.code == 4
    assert "<stdin>:4: audit.policyFile: apiVersion: must be audit.k8s.io/v1\n" in ran.err
    assert "<stdin>:4: audit.policyFile: rules: must be a list with at least one item\n" in ran.err


def test_every_part_of_a_run_has_its_flag() -> None:
    import dataclasses

    from kubeboot.config.run import RunSettings

    assert len(describe.flags(RunSettings())) == 0
    settings = RunSettings(
        **{f.name: _some(f.name) for f in dataclasses.fields(RunSettings)}  # type: ignore[arg-type]
    )
    assert len(describe.flags(settings)) == len(dataclasses.fields(RunSettings))


def _some(name: str) -> object:
    import datetime

    from kubeboot.config.run import Hidden

    hidden = {"token": Hidden("a"), "certificate_key": Hidden("b"), "token_ttl": datetime.timedelta(0)}
    plain = {"dry_run": True, "control_plane": True, "endpoint": "a:1"}
    return {**hidden, **plain}.get(name, ("x",))
