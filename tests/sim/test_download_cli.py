"""`kubeboot artifacts` and `kubeboot bundle`, from a connected machine to a site that has only a registry."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import render
from tests.fakes import downloads, registry, tls
from tests.sim.internet import REGISTRIES, Internet, a_release
from tests.unit.cli_support import Ran, run


@dataclasses.dataclass
class Desk:
    """Somebody's configuration, and the internet that it leads to."""

    root: Path
    internet: Internet

    def configure(self, **artifacts: object) -> None:
        (self.root / "ca.pem").write_bytes(downloads.authority().certificate)
        said = {
            "mirrors": {key: list(urls) for key, urls in self.internet.mirrors().table.items()},
            "caFile": str(self.root / "ca.pem"),
            "cacheDir": str(self.root / "cache"),
            "lockFile": str(self.root / "lock.yaml"),
            **artifacts,
        }
        head = {"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster"}
        (self.root / "c.yaml").write_text(render.dump({**head, "artifacts": said}))

    def __call__(self, *arguments: str) -> Ran:
        return run(*arguments, "--config", str(self.root / "c.yaml"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Internet(a_release()).running() as internet:
        found = Desk(tmp_path, internet)
        found.configure()
        yield found


def data(ran: Ran) -> dict[str, object]:
    assert ran.code == 0, ran.err
    found: dict[str, object] = json.loads(ran.out)
    return found


def test_before_anything_is_known_a_list_says_so_and_asks_nobody(desk: Desk) -> None:
    ran = desk("artifacts", "list", "--arch", "amd64")
    assert ran.code == 0
    assert ran.out.count("not known yet") == len(ran.out.splitlines()) - 1
    assert desk.internet.asked == []
    assert not (desk.root / "lock.yaml").exists()


def test_lock_says_what_it_found_and_where(desk: Desk) -> None:
    ran = desk("artifacts", "lock", "--arch", "amd64")
    assert (ran.code, ran.out) == (0, f"{desk.root}/lock.yaml\n")
    assert "https://dl.k8s.io/release/v1.37.1/bin/linux/amd64/kubelet: sha256 " in ran.err
    again = desk("artifacts", "list", "--arch", "amd64", "-o", "json")
    listed = data(again)
    assert all(each["sha256"] for each in listed["binaries"])  # type: ignore[attr-defined]
    assert all(each["digest"] for each in listed["images"])  # type: ignore[attr-defined]
    desk.internet.asked.clear()
    assert desk("artifacts", "lock", "--arch", "amd64", "--locked").code == 0
    assert desk.internet.asked == []


def test_locked_refuses_what_is_not_known(desk: Desk) -> None:
    ran = desk("artifacts", "pull", "--arch", "amd64", "--locked")
    assert (ran.code, ran.out) == (4, "")
    assert "artifacts are in no lock" in ran.err and "KB_ARTIFACT" in ran.err
    assert desk.internet.asked == []


def test_what_cannot_be_reached_is_listed_and_is_exit_5(desk: Desk) -> None:
    desk.internet.files.clear()
    ran = desk("artifacts", "lock", "--arch", "amd64")
    assert ran.code == 5
    assert "error: 5 artifacts cannot be obtained" in ran.err
    assert ran.err.count("answers 404 Not Found") == 5


def test_from_a_connected_machine_to_a_site_with_nothing_but_a_file(desk: Desk) -> None:
    usb, file = desk.root / "usb", desk.root / "site.bundle"
    assert desk("artifacts", "pull", "--arch", "amd64", "--to", str(usb)).out == f"{usb}\n"
    desk.internet.asked.clear()
    made = desk("bundle", "create", "--arch", "amd64", "--from", str(usb), "--to", str(file))
    assert made.code == 0, made.err
    assert made.out.endswith(f"  {file}\n") and len(made.out.split()[0]) == 64
    assert desk.internet.asked == []
    checked = run("bundle", "verify", str(file))
    assert "whole; Kubernetes v1.37.1 for amd64, 11 binaries and 9 images" in checked.out
    shown = data(run("bundle", "show", str(file), "-o", "json"))
    listed = data(desk("artifacts", "list", "--arch", "amd64", "-o", "json"))
    assert [i["digest"] for i in shown["images"]] == sorted_digests(shown, listed)  # type: ignore[attr-defined]


def sorted_digests(shown: dict[str, object], listed: dict[str, object]) -> list[str]:
    """The digests of `listed`, in the order of `shown`."""
    by_component = {each["component"]: each["digest"] for each in listed["images"]}  # type: ignore[attr-defined]
    return [by_component[each["component"]] for each in shown["images"]]  # type: ignore[attr-defined]


def test_a_bundle_is_made_straight_from_upstream(desk: Desk) -> None:
    file = desk.root / "site.bundle"
    ran = desk("bundle", "create", "--arch", "amd64", "--to", str(file))
    assert ran.code == 0, ran.err
    assert run("bundle", "verify", str(file)).code == 0


@pytest.mark.parametrize("command", ["verify", "show", "push"])
def test_a_damaged_bundle_is_refused_by_all(desk: Desk, command: str) -> None:
    file = desk.root / "site.bundle"
    desk("bundle", "create", "--arch", "amd64", "--to", str(file))
    content = bytearray(file.read_bytes())
    content[1700] ^= 1
    file.write_bytes(content)
    arguments = ("bundle", command, str(file), *(["127.0.0.1:1/k8s"] if command == "push" else []))
    ran = run(*arguments)
    assert (ran.code, ran.out) == (4, "")
    assert str(file) in ran.err and "KB_ARTIFACT" in ran.err


def test_a_pushed_bundle_serves_the_site(desk: Desk) -> None:
    file = desk.root / "site.bundle"
    desk("bundle", "create", "--arch", "amd64", "--to", str(file))
    before = data(desk("artifacts", "list", "--arch", "amd64", "-o", "json"))
    target = registry.Registry("basic", members_only=True)
    certificate = tls.issued(downloads.authority(), "registry", "127.0.0.1")
    with tls.Server(target.answer, certificate).running() as server:
        prefix = f"{server.address}/k8s"
        refused = desk("bundle", "push", str(file), prefix)
        assert refused.code == 5 and "wants credentials" in refused.err
        login = desk.root / "config.json"
        login.write_text(json.dumps({"auths": {server.address: {"username": "user", "password": "pass"}}}))
        login.chmod(0o600)
        plugin = "https://ghcr.io/flannel-io/flannel-cni-plugin"
        mirrors = {
            **{key: list(urls) for key, urls in desk.internet.mirrors().table.items()},
            **{f"https://{host}": [f"https://{prefix}"] for host in REGISTRIES},
            plugin: [f"{desk.internet.url}/ghcr.io/flannel-io/flannel-cni-plugin"],
        }
        other = {"lockFile": str(desk.root / "other.yaml"), "cacheDir": str(desk.root / "other")}
        desk.configure(credentialsFile=str(login), mirrors=mirrors, **other)
        pushed = desk("bundle", "push", str(file), prefix)
        assert pushed.code == 0, pushed.err
        assert f"{prefix}/etcd:3.7.0-0" in pushed.out.splitlines()
        assert desk("artifacts", "lock", "--arch", "amd64").code == 0
    after = data(desk("artifacts", "list", "--arch", "amd64", "-o", "json"))
    assert after["images"] == before["images"]
    assert "user:pass" not in pushed.err + (pushed.log or "")


@pytest.mark.parametrize("prefix", ["", "https://", "r.example/k8s/", "r.example/K8S", "r.example/k8s:tag"])
def test_a_place_that_is_none_is_a_usage_error(prefix: str) -> None:
    ran = run("bundle", "push", "x", prefix)
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_bundle_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    ran = run("bundle", command, str(tmp_path / "none"))
    assert ran.code == 4
    assert f"{tmp_path}/none: cannot be read" in ran.err


def test_a_place_that_cannot_be_written_is_named(desk: Desk) -> None:
    (desk.root / "file").write_text("")
    ran = desk("bundle", "create", "--arch", "amd64", "--to", str(desk.root / "file" / "b"))
    assert ran.code == 4 and "cannot be written" in ran.err
    ran = desk("artifacts", "pull", "--arch", "amd64", "--to", str(desk.root / "file" / "d"))
    assert ran.code == 4 and "cannot be written" in ran.err
