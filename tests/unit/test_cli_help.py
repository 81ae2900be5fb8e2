"""Help: what it shows, and that showing it imports next to nothing."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import click
import pytest

from kubeboot.cli import app, command
from tests.unit.cli_support import golden, run

TOP = pathlib.Path(__file__).parents[2]
HEAVY = {"paramiko", "fabric", "pydantic", "lightkube", "rich", "jinja2", "cryptography", "yaml", "logging"}


def _paths() -> list[tuple[str, ...]]:
    """Every command and group."""
    found: list[tuple[str, ...]] = [()]
    root = click.Context(app.cli)
    for name in app.COMMANDS:
        found.append((name,))
        inner = app.cli.get_command(root, name)
        if isinstance(inner, command.Group):
            found += [(name, sub) for sub in inner.list_commands(root)]
    return found


@pytest.mark.parametrize("path", _paths(), ids=lambda p: "-".join(p) or "kubeboot")
def test_help(path: tuple[str, ...]) -> None:
    ran = run(*path, "--help")
    assert (ran.code, ran.err, ran.log) == (0, "", None)
    assert ran.out.isascii(), "help must be readable in any locale"
    golden(f"cli-help-{'-'.join(path) or 'kubeboot'}.txt", ran.out)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_line_in_the_table_is_the_commands_own(name: str) -> None:
    found = app.cli.get_command(click.Context(app.cli), name)
    assert found is not None
    assert (found.help or "").splitlines()[0] == app.COMMANDS[name][1]


@pytest.mark.parametrize("path", [p for p in _paths() if p], ids=lambda p: "-".join(p))
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    assert f"kubeboot {' '.join(path)}" in run(*path, "--help").out.partition("usage:")[0]


@pytest.mark.parametrize("arguments", [["--help"], ["init", "--help"], ["--version"], ["token", "--help"]])
def test_help_imports_click_and_little_else(arguments: list[str]) -> None:
    code = (
        "import sys, json; from kubeboot.cli import main; sys.argv[1:] = json.loads(sys.argv[1])\n"
        "try: main.run()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(ended.stderr))
    assert "click" in modules
    assert not modules & HEAVY


def test_no_command_at_all_shows_the_help_on_stderr() -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip() == run("--help").out.strip()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    ran = run("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    golden(f"cli-completion.{shell}", ran.out)


def test_bash_completes_commands_options_choices_and_files(tmp_path: pathlib.Path) -> None:
    kubeboot = tmp_path / "kubeboot"
    kubeboot.write_text(f'#!/bin/sh\nexec {sys.executable} -m kubeboot "$@"\n')
    kubeboot.chmod(0o755)
    lines = ("tok", "token cr", "init --kubern", "completion z", "config validate clus", "init --config clus")
    script = 'eval "$(kubeboot completion bash)"\ncompopt() { echo "files: $1 $2"; }\n'
    for line in lines:
        words = f"kubeboot {line}".split()
        script += f"COMPREPLY=(); COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        script += '_kubeboot_completion kubeboot; echo "${COMPREPLY[*]}"\n'
    ended = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    wanted = [
        "token",
        "create",
        "--kubernetes-version",
        "zsh",
        "files: -o default",
        "",
        "files: -o default",
        "",
    ]
    assert ended.stdout.splitlines() == wanted


def test_completion_completes() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "kubeboot"],
        env={"_KUBEBOOT_COMPLETE": "bash_complete", "COMP_WORDS": "kubeboot jo", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("plain,join\n", "")


def test_version() -> None:
    assert run("--version").out == "kubeboot 0.1.0\n"
    assert run("version").out.startswith("kubeboot 0.1.0 (Kubernetes v1.36.x and v1.37.x; Python 3")
    found = json.loads(run("version", "-o", "json").out)
    assert (found["apiVersion"], found["kind"]) == ("kubeboot.io/v1alpha1", "Version")
    assert found["kubernetes"] == ["v1.36.4", "v1.37.1"]
