"""What people install: built here, put where there is nothing else, and run."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pytest
from packagelib import manpage, pyz, unpack

import kubeboot
from kubeboot import errors
from kubeboot.cli import app

TOP = Path(__file__).parents[2]


def _build(tree: Path, to: Path) -> dict[str, Path]:
    command = (sys.executable, "-m", "hatchling", "build", "-d", str(to))
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    return {path.suffix: path for path in to.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheel and sdist of this tree."""
    return _build(TOP, tmp_path_factory.mktemp("dist"))


def test_the_sdist_makes_the_same_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built[".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    again = _build(tree, tmp_path / "again")
    assert again[".whl"].read_bytes() == built[".whl"].read_bytes()
    assert again[".gz"].read_bytes() == built[".gz"].read_bytes()


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it depends on is lent by this one, so no network is needed."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(built[".whl"]) as wheel:  # all that an installer does with a wheel without .data
        wheel.extractall(site)  # noqa: S202 - our own wheel
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def _run(*argv: str, env: dict[str, str] | None = None) -> str:
    """Far away from the checkout; what was said on stdout and stderr."""
    ended = subprocess.run(
        argv, cwd="/", env={"PATH": "/usr/bin:/bin", **(env or {})}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


DRIVE = """
import sys
from kubeboot.host import api, local
assert "site-packages" in api.__file__, api.__file__
local.LocalView.unit = lambda self, name: api.Unit(name)  # there is no systemd where tests run
sys.argv[1:] = ["init", "--dry-run", "-v", "--ignore-preflight-errors", "all", "--node-name", "cp-1"]
from kubeboot.cli.main import run
run()
"""


def test_the_wheel_has_its_templates_its_probe_and_its_lock(installed: Path) -> None:
    plan = _run(str(installed / "bin/python"), "-c", textwrap.dedent(DRIVE))
    assert "nothing was changed; a run has" in plan
    for shown in ("etcd/manifest", "load-balancer/config", "kubelet/unit", "runtime/binary-containerd"):
        assert shown in plan
    assert "option allbackups" in plan, "the diff of haproxy.cfg"


def test_the_wheel_installs_the_command(installed: Path) -> None:
    start = "import sys; from importlib import metadata; sys.argv[1:] = ['--version']; "
    start += "[found.load()() for found in metadata.entry_points(group='console_scripts', name='kubeboot')]"
    assert _run(str(installed / "bin/python"), "-c", start) == f"kubeboot {kubeboot.__version__}\n"


def _wheel(where: Path, name: str, files: dict[str, str]) -> Path:
    path = where / name
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


RUN = "import sys\ndef run():\n    import native\n    print('ran', native.WHAT, sys.path[0])\n"
ARGV = "def blank():\n    print('blanked')\n"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A small kubeboot.pyz with one wheel for all, and one for this Python."""
    (tmp_path / "in").mkdir()
    return _packed(tmp_path, "first")


def _packed(where: Path, what: str) -> Path:
    code = {"kubeboot/__init__.py": "", "kubeboot/cli/__init__.py": "", "kubeboot/cli/argv.py": ARGV}
    own = _wheel(where / "in", "kubeboot-1-py3-none-any.whl", {**code, "kubeboot/cli/main.py": RUN})
    tag, machine = f"cp3{sys.version_info[1]}", os.uname().machine
    names = (f"native-1-{tag}-{tag}-manylinux2014_{machine}", "native-1-cp39-cp39-manylinux2014_other")
    others = [_wheel(where / "in", f"{name}.whl", {"native.py": f"WHAT = {what!r}\n"}) for name in names]
    to = where / f"{what}.pyz"
    pyz.build(own, others, to)
    return to


def _start(file: Path, cache: Path) -> str:
    return _run(sys.executable, str(file), env={"KUBEBOOT_CACHE": str(cache)})


def _dirs(cache: Path) -> list[Path]:
    return [path for path in (cache / "pyz").iterdir() if path.is_dir()]


def test_the_file_unpacks_once_in_private_and_runs(packed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = _start(packed, cache)
    (place,) = _dirs(cache)
    assert first == f"blanked\nran first {place}\n"
    assert stat.S_IMODE((cache / "pyz").stat().st_mode) == 0o700
    made = place.stat().st_ino
    assert _start(packed, cache) == first
    assert place.stat().st_ino == made


def test_the_file_is_the_same_bytes_twice(packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    packed.unlink()
    for wheel in (tmp_path / "in").iterdir():
        os.utime(wheel, (0, 0))
    sources = sorted((tmp_path / "in").iterdir(), reverse=True)
    own = next(path for path in sources if path.name.startswith("kubeboot"))
    pyz.build(own, [path for path in sources if path != own], packed)
    assert packed.read_bytes() == before


def test_another_version_sweeps_the_one_before_unless_it_runs(packed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _start(packed, cache)
    (old,) = _dirs(cache)
    held = unpack._hold(str(old))
    assert held
    second, third = _packed(tmp_path, "second"), _packed(tmp_path, "third")
    assert "ran second" in _start(second, cache)
    assert old.exists(), "somebody runs from it"
    os.close(unpack._held.pop())
    assert "ran third" in _start(third, cache)
    (left,) = _dirs(cache)
    assert left != old


def test_what_a_killed_run_left_is_thrown_away(packed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "pyz" / "new").mkdir(parents=True)
    (cache / "pyz").chmod(0o700)
    (cache / "pyz" / "new" / "native.py").write_text("WHAT = 'half'\n")
    assert "ran first" in _start(packed, cache)
    assert len(_dirs(cache)) == 1


@pytest.mark.parametrize("mode", [0o777, 0o1777, *([0o770] if os.geteuid() == 0 else [])])
def test_a_place_that_others_can_write_to_is_refused(packed: Path, tmp_path: Path, mode: int) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(AssertionError, match="only you can write to"):
        _start(packed, cache)
    (cache).chmod(0o700)
    (cache / "elsewhere").mkdir()
    (cache / "pyz").symlink_to(cache / "elsewhere")
    with pytest.raises(AssertionError, match="only you can write to"):
        _start(packed, cache)


def test_a_place_where_nothing_can_be_loaded_from_is_named_before_it_is_filled(tmp_path: Path) -> None:
    flags = mock.Mock(f_flag=os.ST_NOEXEC)
    with mock.patch.object(os, "statvfs", return_value=flags), pytest.raises(PermissionError, match="noexec"):
        unpack._private(str(tmp_path / "cache"))
    assert list((tmp_path / "cache" / "pyz").iterdir()) == []


def test_root_does_not_believe_a_users_environment() -> None:
    user = {"HOME": "/home/eve", "XDG_CACHE_HOME": "/home/eve/cache"}
    assert unpack._home(user, 0) == "/var/cache/kubeboot"
    assert unpack._home(user, 1000) == "/home/eve/cache/kubeboot"
    assert unpack._home({**user, "KUBEBOOT_CACHE": "/srv/k"}, 0) == "/srv/k"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("wheels/click-8-py3-none-any.whl", True),
        ("wheels/lockfile-0-py2.py3-none-any.whl", True),
        ("wheels/cffi-2-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True),
        ("wheels/cffi-2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", False),
        ("wheels/cffi-2-cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", False),
        ("wheels/bcrypt-5-cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True),
        ("wheels/bcrypt-5-cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", False),
        ("__main__.py", False),
    ],
)
def test_a_wheel_fits_by_its_name(name: str, fits: bool) -> None:
    assert unpack.fits(name, "cp312", "x86_64") is fits


def test_every_python_and_machine_finds_every_package_that_is_locked() -> None:
    """By the lock alone: what differs from Python to Python would not be in the one list of wheels."""
    text = (TOP / "requirements.lock").read_text()
    markers = [line for line in text.splitlines() if "python_" in line and "emscripten" not in line]
    assert not [m for m in markers if "python_version" in m or "python_full_version" in m]


def test_a_wheel_that_an_installer_would_have_to_sort_is_refused(tmp_path: Path) -> None:
    own = _wheel(tmp_path, "kubeboot-1-py3-none-any.whl", {"kubeboot-1.data/scripts/x": ""})
    with pytest.raises(SystemExit, match="to be moved"):
        pyz.build(own, (), tmp_path / "x.pyz")


def test_an_old_python_can_read_the_start_and_is_told() -> None:
    text = (TOP / ".ci/packagelib/start.py").read_text()
    compile(text, "start.py", "exec", dont_inherit=True)
    assert "annotations" not in text.partition("def main")[0].replace("# noqa", "")
    assert not [word for word in (" match ", ":=", 'f"', "f'") if word in text]


def _commands() -> Iterator[str]:
    root = click.Context(app.cli, info_name="kubeboot")
    yield from (ctx.command_path for ctx in manpage._walk(root))


def test_the_man_page_has_every_command_and_every_option() -> None:
    page = manpage.page().replace(r"\-", "-")
    for command in _commands():
        assert f".SS {command} " in page
    assert {"kubeboot init", "kubeboot token create", "kubeboot support"} <= set(_commands())
    assert page.count(r"\fB--debug\fR") == 1
    assert r"\fB--dry-run\fR" in page
    assert ".SH EXIT STATUS" in page


def test_the_man_page_names_every_exit_code() -> None:
    kinds = [errors.KubebootError, *errors.KubebootError.__subclasses__()]
    assert {code for code, _ in manpage._EXIT} == {0, *(kind.exit_code for kind in kinds)}


def test_no_line_of_the_man_page_is_an_accident_of_roff() -> None:
    requests = (".TH ", ".SH ", ".SS ", ".TP", ".PP", ".nf", ".fi", ".RS 4", ".RE")
    for line in manpage.page().splitlines():
        assert not line.startswith(("'", ".")) or line.startswith(requests), line
    assert manpage._text(".profile -x\\n") == r"\&.profile \-x\en"


def test_the_wheel_carries_no_cache_and_no_secret(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(io.BytesIO(built[".whl"].read_bytes())) as archive:
        names = archive.namelist()
    assert {"kubeboot/artifacts/lock.yaml", "kubeboot/host/probe.sh"} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".key", ".orig", "~"))]
