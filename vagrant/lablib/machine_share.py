"""What a lab's machines see read-only: kubeboot itself with its locked packages, and the bundle.

A directory per lab, mounted into its machines. `refresh` changes it in place, so that running machines have
the checkout's newest code at their next `kubeboot`: code lies in a directory per content, and the script that
names the directories is renamed into place last.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from lablib import cache, tools
from lablib.machine_host import say
from lablib.machine_state import BUNDLE, SHARE

PYTHON = "3.11"  # Debian 12's, which is what runs on the machines
SCRIPT = """#!/usr/bin/python3 -I
import sys

sys.path[1:1] = [{paths}]
from kubeboot.cli.main import run

run()
"""


def refresh(share: Path, checkout: Path, image: str, bundle: Path | None) -> None:
    """Bring the share up to date with the checkout; does nothing where nothing has changed."""
    (share / "bin").mkdir(parents=True, exist_ok=True)
    packages = _packages(checkout, image)
    code = share / f"kubeboot-{cache.key_of(*_sources(checkout))}"
    if not (share / packages.name).exists():
        _link_tree(packages, share / packages.name)
    if not code.exists():
        _unpack_wheel(code, checkout, image)
    _write_script(share / "bin" / "kubeboot", [code.name, packages.name])
    _drop_old(share, {code.name, packages.name})
    if bundle is not None:
        _link_file(bundle, share / BUNDLE)


def _packages(checkout: Path, image: str) -> Path:
    """The packages that kubeboot needs, from its lock, for the machines' Python."""
    lock = checkout / "requirements.lock"

    def build(into: Path) -> None:
        say("fetching kubeboot's packages")
        argv = ["--python-version", PYTHON, "--only-binary", ":all:", "--require-hashes", "-r", str(lock)]
        _pip("install", "--target", str(into), *argv)
        shutil.rmtree(into / "bin", ignore_errors=True)
        _compile(into, image)

    return cache.cached("packages", cache.key_of(PYTHON, os.uname().machine, bool(image), lock), build)


def _unpack_wheel(target: Path, checkout: Path, image: str) -> None:
    """kubeboot's own wheel. Not in the cache: a developer makes many, and a lab needs only its last two."""
    say("building kubeboot's wheel")
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory() as out:
        if shutil.which("uv"):
            tools.run(["uv", "build", "-q", "--wheel", "--out-dir", out, str(checkout)])
        else:
            _pip("wheel", "--no-deps", "--wheel-dir", out, str(checkout))
        for wheel in Path(out).glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(partial)
    _compile(partial, image)
    partial.rename(target)


def _sources(checkout: Path) -> list[object]:
    files = [checkout / "pyproject.toml", checkout / "README.md"]
    for top in ("kubeboot", "templates"):
        files += [f for f in sorted((checkout / top).rglob("*")) if f.is_file() and f.suffix != ".pyc"]
    return [part for f in files for part in (str(f.relative_to(checkout)), f)]


def _pip(command: str, *argv: str) -> None:
    if command == "install" and shutil.which("uv"):
        tools.run(["uv", "pip", "install", "-q", *argv])
    else:
        tools.run([sys.executable, "-m", "pip", command, "-q", "--disable-pip-version-check", *argv])


def _compile(tree: Path, image: str) -> None:
    """Compile with the machines' own Python: they see the share read-only and would do it on every start.

    Without an image the machines are VMs: this computer's Python compiles for them, where it is the same.
    """
    if not image:
        if python := shutil.which(f"python{PYTHON}"):
            tools.run([python, "-m", "compileall", "-q", "-j", "0", str(tree)])
        return
    inside = ["--entrypoint", "python3", image, "-m", "compileall", "-q", "-j", "0", "/tree"]
    tools.run(["docker", "run", "--rm", "--network", "none", "--volume", f"{tree}:/tree", *inside])


def _write_script(path: Path, directories: list[str]) -> None:
    text = SCRIPT.format(paths=", ".join(repr(f"{SHARE}/{d}") for d in directories))
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_name(".kubeboot")
    partial.write_text(text)
    partial.chmod(0o755)
    partial.rename(path)


def _drop_old(share: Path, wanted: set[str]) -> None:
    """Keep the code before this one: a kubeboot that runs may still import from it."""
    code = sorted(share.glob("kubeboot-*"), key=lambda p: p.stat().st_ctime)
    old = [p for p in code if p.name not in wanted][:-1]
    for directory in [*old, *(p for p in share.glob("packages-*") if p.name not in wanted)]:
        shutil.rmtree(directory)


def _link_tree(source: Path, target: Path) -> None:
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, copy_function=_link_or_copy)
    partial.rename(target)


def _link_file(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    partial = target.with_name(f".partial-{target.name}")
    partial.unlink(missing_ok=True)
    _link_or_copy(str(source), str(partial))
    partial.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    """The cache and the labs may lie on different file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
