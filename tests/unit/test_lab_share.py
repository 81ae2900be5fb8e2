"""What the lab's machines are made of, and kubeboot's code on them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from lablib import machine_image, machine_logs, machine_share, machine_state

from tests.unit.lab_support import TOP

pytestmark = pytest.mark.usefixtures("lab_state")

# ---- what machines are made of


def test_scripts_are_scripts_and_all_of_them_count_for_the_images_name() -> None:
    for script in ("entrypoint", "prepare", "box", "customise"):
        text = (machine_image.FILES / script).read_text()
        assert text.startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    copied = re.findall(r"^COPY (.*) \S+$", (machine_image.FILES / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} | {"Dockerfile"} == {
        path.name for path in machine_image.FILES.iterdir()
    }


def test_the_machines_see_kubeboot_where_the_lab_puts_it() -> None:
    vagrantfile = (TOP / "vagrant" / "Vagrantfile").read_text()
    prepare = (machine_image.FILES / "prepare").read_text()
    assert f'SHARE = "{machine_state.SHARE}"' in vagrantfile
    assert f"share={machine_state.SHARE}\n" in prepare
    assert "bundle: $share/bundle.tar" in prepare


def test_the_log_collector_is_a_script_that_asks_for_no_key(tmp_path: Path) -> None:
    script = machine_logs.script()
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    for secret in ("/pki", "admin.conf", "super-admin", "secrets"):
        assert secret not in script


# ---- the share: kubeboot's code on the machines


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose wheel and packages are made by hand instead of by pip."""
    top = tmp_path / "checkout"
    for name, text in {"pyproject.toml": "", "README.md": "", "kubeboot/a.py": "one"}.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    packages = tmp_path / "packages-0123"
    packages.mkdir()
    (packages / "click.py").write_text("click")
    monkeypatch.setattr(machine_share, "_packages", lambda checkout, image: packages)

    def unpack(target: Path, checkout: Path, image: str) -> None:
        shutil.copytree(checkout / "kubeboot", target / "kubeboot")

    monkeypatch.setattr(machine_share, "_unpack_wheel", unpack)
    return top


def paths_of(share: Path) -> list[str]:
    return re.findall(rf"'{machine_state.SHARE}/([^']+)'", (share / "bin/kubeboot").read_text())


def test_the_script_names_the_newest_code_before_the_packages(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    machine_share.refresh(share, checkout, "image", None)
    code, packages = paths_of(share)
    assert (share / code / "kubeboot/a.py").read_text() == "one"
    assert (share / packages / "click.py").read_text() == "click"
    assert stat.S_IMODE((share / "bin/kubeboot").stat().st_mode) == 0o755
    compile((share / "bin/kubeboot").read_text(), "kubeboot", "exec")


def test_a_refresh_changes_nothing_if_nothing_changed(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    machine_share.refresh(share, checkout, "image", None)
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in share.rglob("*")}
    machine_share.refresh(share, checkout, "image", None)
    assert before == {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in share.rglob("*")}


def test_new_code_leaves_the_code_before_it_to_those_who_run_it(checkout: Path, tmp_path: Path) -> None:
    share, seen = tmp_path / "share", []
    for text in ("one", "two", "three"):
        (checkout / "kubeboot/a.py").write_text(text)
        machine_share.refresh(share, checkout, "image", None)
        seen.append(paths_of(share)[0])
        assert (share / seen[-1] / "kubeboot/a.py").read_text() == text
    assert not (share / seen[0]).exists()
    assert (share / seen[1]).exists()


def test_a_changed_bundle_replaces_the_one_before(checkout: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    for text in ("first", "second"):
        bundle = tmp_path / text
        bundle.write_text(text)
        machine_share.refresh(share, checkout, "image", bundle)
        assert (share / "bundle.tar").read_text() == text
        assert (share / "bundle.tar").samefile(bundle)


# ---- Vagrant


@pytest.mark.skipif(shutil.which("ruby") is None, reason="needs ruby, which comes with Vagrant")
def test_the_vagrantfile_is_ruby() -> None:
    done = subprocess.run(
        ["ruby", "-c", str(TOP / "vagrant" / "Vagrantfile")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("script", ["vagrant/demo", "inventories/lab"])
def test_shell_programs_can_be_run_and_parsed(script: str) -> None:
    path = TOP / script
    assert os.access(path, os.X_OK)
    subprocess.run([path.read_text().split("\n")[0].split("/")[-1].split()[-1], "-n", str(path)], check=True)
