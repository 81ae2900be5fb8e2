"""Command lines and files that are wrong, a line each: the exit code, the reason, and nothing changed.

malformed_lines.txt and malformed_files.txt are the tables, zoo.py has the files, untouched.py the measure.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.unit import malformed, malformed_runs
from tests.unit.malformed_runs import HASH, KEY, TOKEN

HERE = Path(__file__).parent


def table(name: str) -> list[tuple[str, str, str]]:
    """Exit code, reason and the rest of each line."""
    lines = (HERE / name).read_text().splitlines()
    parts = (line.split(maxsplit=2) for line in lines if not line.startswith("#"))
    return [(code, reason, rest[0] if rest else "") for code, reason, *rest in parts]


LINES, FILES = table("malformed_lines.txt"), table("malformed_files.txt")


@pytest.fixture(scope="module")
def files() -> Iterator[Mapping[str, bytes]]:
    with malformed_runs.files() as made:
        yield made


def words(text: str) -> tuple[dict[str, str], list[str]]:
    """A line's variables and its words, without a leading `kubeboot`."""
    for name, value in (("$TOKEN", TOKEN), ("$HASH", HASH), ("$KEY", KEY)):
        text = text.replace(name, value)
    split = shlex.split(text)
    count = next((n for n, word in enumerate(split) if not re.match("[A-Z_]+=", word)), len(split))
    env = dict(word.split("=", 1) for word in split[:count])
    return env, split[count + 1 :] if split[count : count + 1] == ["kubeboot"] else split[count:]


@pytest.mark.parametrize(("code", "reason", "text"), LINES, ids=range(len(LINES)))
def test_a_malformed_command_line(code: str, reason: str, text: str) -> None:
    env, line = words(text)
    ran = malformed_runs.untouched(line, env=env)
    assert (str(ran.code), malformed_runs.reason(ran)) == (code, reason), ascii(ran.err)
    assert not malformed_runs.is_traceback(ran), ascii(ran.err)


@pytest.mark.parametrize(("code", "reason", "text"), FILES, ids=range(len(FILES)))
def test_a_malformed_file(code: str, reason: str, text: str, files: Mapping[str, bytes]) -> None:
    how, thing = text.split()
    ran = malformed_runs.given(how, files[thing])
    assert (str(ran.code), malformed_runs.reason(ran)) == (code, reason), ascii(ran.err)
    assert not malformed_runs.is_traceback(ran), ascii(ran.err)
    assert code == "0" or "hint: " in ran.err, ascii(ran.err)


def test_there_are_enough_of_them_and_none_twice() -> None:
    every = [*LINES, *FILES]
    assert len(set(every)) == len(every)
    assert len(every) + len(malformed.CASES) >= 1500
    assert {how for _, _, text in FILES for how in text.split()[:1]} == set(malformed_runs.HOW)


def test_a_pipe_that_somebody_writes_into_is_a_file_like_any_other() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m kubeboot config validate <(sleep 0.3; echo 'a: b')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4 and "apiVersion" in done.stderr


def test_real_processes_leave_every_directory_as_it_was(files: Mapping[str, bytes], tmp_path: Path) -> None:
    """A sample of both tables in processes of their own, between two pictures of what a run would change."""
    roots = ("/etc", "/opt", "/usr/local", "/var/lib/kubeboot", "/run/systemd/system", str(tmp_path))
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": "/nonexistent", "PATH": os.environ["PATH"]}
    sample = [
        *(words(text)[1] for code, _, text in LINES[::45] if code != "5"),
        *(malformed_runs.HOW[how].replace("@", os.fsdecode(files[thing])).split() for how, thing in SAMPLE),
    ]
    before = malformed_runs.picture(*roots)
    for line in sample:
        done = subprocess.run(
            [sys.executable, "-m", "kubeboot", *line],
            env={**home, "PYTHONPATH": str(HERE.parents[1])},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode in (1, 2, 4) and "Traceback" not in done.stderr, (line, done.stderr)
    assert malformed_runs.picture(*roots) == before


SAMPLE = (
    ("kubeconfig", "yaml-deep"),
    ("etcd-join", "json-deep"),
    ("lock", "dev-zero"),
    ("snapshot", "snapshot-loop"),
)
