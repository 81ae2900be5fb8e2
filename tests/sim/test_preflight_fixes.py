"""What preflight prints as a fix is run here, and what it finds in other hands' files ends no run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sim import preflight_seeds as seeds
from tests.sim.preflight_seeds import Stage, put


@pytest.mark.parametrize("root", ["/etc", "/run", "/usr/lib"])
def test_the_fix_for_zram_hides_the_file_that_makes_it(root: str) -> None:
    """An empty file of the same name in /etc comes before any other."""
    stage = Stage(seeds.fit())
    put(f"{root}/systemd/zram-generator.conf.d/a.conf", "[zram0]\n")(stage)
    [found] = stage.findings()
    assert "install -D /dev/null /etc/systemd/zram-generator.conf.d/a.conf;" in found.hint


FIXED_BY_SED = (
    ("/etc/fstab", "/dev/vda1 / ext4 rw 0 1\n", "/dev/vda2 none swap\n"),
    ("/etc/sysctl.d/99-zz.conf", "net.ipv4.ip_forward_use_pmtu = 0\n", "-net/ipv4/ip_forward = 0\n"),
    ("/etc/modprobe.d/cis.conf", "# of the CIS guide\n", "install  br-netfilter\t/bin/true\n"),
)


@pytest.mark.parametrize(("path", "kept", "wrong"), FIXED_BY_SED, ids=[row[0] for row in FIXED_BY_SED])
def test_the_fix_takes_out_what_is_wrong_and_nothing_else(
    path: str, kept: str, wrong: str, tmp_path: Path
) -> None:
    stage = Stage(seeds.fit())
    put(path, kept + wrong)(stage)
    [found] = stage.findings()
    (tmp_path / "file").write_text(kept + wrong)
    command = found.hint.split(" && ")[0].replace(path, str(tmp_path / "file"))
    subprocess.run(["sh", "-c", command], check=True)
    left = (tmp_path / "file").read_text()
    assert kept in left and f"\n{wrong}" not in left
    put(path, left)(stage)
    assert stage.findings() == ()


ODD = (
    "disabled_plugins = 3\n",
    "imports = 3\n",
    "disabled_plugins = [[1], 2]\nplugins = []\n",
    'imports = ["/etc/containerd/conf.d/*.toml"]\nplugins = []\n',
)


@pytest.mark.parametrize("text", ODD)
def test_a_containerd_config_of_another_shape_ends_no_preflight(text: str) -> None:
    stage = Stage(seeds.fit())
    put("/etc/containerd/config.toml", text)(stage)
    put("/etc/containerd/conf.d/a.toml", "plugins = 3\n")(stage)
    assert stage.findings() == ()
