"""flannel's publish.sh, run by a real shell on directories of the test."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from kubeboot import render


@pytest.fixture
def script(tmp_path: pathlib.Path) -> str:
    """With every absolute path below the test's directory."""
    for name in ("run/flannel", "etc/cni/net.d", "etc/kube-flannel"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/kube-flannel/cni-conf.json").write_text('{"name": "cbr0"}')
    text = render.template("flannel/publish.sh")
    for name in ("run", "etc"):
        text = text.replace(f" /{name}/", f" {tmp_path}/{name}/")
    return text


def run(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", script])


def test_nothing_is_published_before_flannel_has_a_subnet(script: str, tmp_path: pathlib.Path) -> None:
    published = tmp_path / "etc/cni/net.d/10-flannel.conflist"
    process = run(script)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.15)
        assert not published.is_symlink()
        (tmp_path / "run/flannel/subnet.env").write_text("FLANNEL_MTU=1450\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert published.read_text() == '{"name": "cbr0"}'
    assert [entry.name for entry in published.parent.iterdir()] == [published.name]


def test_a_reboot_leaves_a_link_to_nothing_and_the_next_start_mends_it(
    script: str, tmp_path: pathlib.Path
) -> None:
    published = tmp_path / "etc/cni/net.d/10-flannel.conflist"
    subnet = tmp_path / "run/flannel/subnet.env"
    for _ in range(2):
        subnet.write_text("FLANNEL_MTU=1450\n")
        assert run(script).wait(60) == 0
        assert published.read_text() == '{"name": "cbr0"}'
        for path in (tmp_path / "run/flannel").iterdir():
            path.unlink()
        assert published.is_symlink() and not published.exists()


def test_a_restart_of_flannel_never_takes_the_config_away(script: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "run/flannel/subnet.env").write_text("FLANNEL_MTU=1450\n")
    for _ in range(2):
        assert run(script).wait(60) == 0
        assert (tmp_path / "etc/cni/net.d/10-flannel.conflist").exists()
