"""The Vagrantfile, by Vagrant's own judgement, for every provider that it has a description for."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from lablib import machine_state
from lablib.machine_state import Lab

VAGRANTFILE = Path(__file__).parents[2] / "vagrant" / "Vagrantfile"
PROVIDERS = ("docker", "libvirt", "virtualbox")

pytestmark = pytest.mark.skipif(shutil.which("vagrant") is None, reason="Vagrant is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for Vagrant, and a VirtualBox of which only the version can be asked."""
    made = tmp_path_factory.mktemp("vagrant")
    (made / "bin").mkdir()
    script = '#!/bin/sh\ncase "$1" in --version) echo 7.0.20r163906 ;; esac\n'
    (made / "bin" / "VBoxManage").write_text(script)
    (made / "bin" / "VBoxManage").chmod(0o755)
    return made


def validate(
    home: Path, directory: Path, provider: str, lab: Path | None
) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "VAGRANT_HOME": str(home / "home"),
        "VAGRANT_DOTFILE_PATH": str(home / "dot"),
        "VAGRANT_CWD": str(directory),
        "VAGRANT_DEFAULT_PROVIDER": provider,
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        **({"KUBEBOOT_LAB_FILE": str(lab)} if lab else {}),
    }
    done = subprocess.run(["vagrant", "validate"], env=env, capture_output=True, text=True, check=False)
    for reason in ("could not be found, but was requested", "isn't usable on this system"):
        if reason in done.stderr:
            pytest.skip(f"{provider}: {reason}")
    return done


@pytest.mark.parametrize("provider", PROVIDERS)
def test_vagrant_accepts_a_labs_description(provider: str, home: Path, tmp_path: Path) -> None:
    machines = machine_state.layout("192.168.57.0/24", 3, 2)
    lab = Lab("many", provider, "/checkout", "192.168.57.0/24", "image:1", machines)
    (tmp_path / "lab.json").write_text(json.dumps(dataclasses.asdict(lab)))
    (tmp_path / "share").mkdir()
    done = validate(home, VAGRANTFILE.parent, provider, tmp_path / "lab.json")
    assert done.returncode == 0, done.stderr


def test_vagrant_accepts_it_without_a_lab(home: Path) -> None:
    done = validate(home, VAGRANTFILE.parent, "docker", None)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("provider", "good", "bad"),
    [
        ("docker", "container.has_ssh = true", "container.has_shh = true"),
        ("libvirt", "vm.default_prefix", "vm.default_prefiks"),
        ("virtualbox", "vm.cpus = cpus", "vm.cups = cpus"),
    ],
)
def test_vagrants_judgement_reaches_the_providers_part(
    provider: str, good: str, bad: str, home: Path, tmp_path: Path
) -> None:
    text = VAGRANTFILE.read_text()
    assert good in text
    (tmp_path / "Vagrantfile").write_text(text.replace(good, bad))
    done = validate(home, tmp_path, provider, None)
    assert done.returncode != 0
    assert bad.split(".")[1].split()[0] in done.stderr
