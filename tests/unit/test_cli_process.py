"""kubeboot as a process: its streams, its locale, and what others see of its arguments."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from unittest import mock

import pytest

from kubeboot.cli import argv


def _spawn(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)


KUBEBOOT = f"{sys.executable} -m kubeboot"


def test_a_reader_that_leaves_is_no_error() -> None:
    ended = _spawn(f"set -o pipefail; {KUBEBOOT} config schema | head -c 1 >/dev/null")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_closed_streams_are_no_traceback() -> None:
    for redirect in (">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"):
        ended = _spawn(f"{KUBEBOOT} version {redirect}; {KUBEBOOT} nonsense {redirect}; true")
        assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("line", ["config schema", "--help", "version"])
def test_output_that_cannot_be_written_is_an_error(line: str) -> None:
    ended = _spawn(f"{KUBEBOOT} {line} > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot write to standard output: No space left on device")


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_locale_without_utf_8(locale: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("clusterName: кластер")
    ended = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "kubeboot", "config", "validate", str(path)],
        env={"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 4
    assert ended.stderr.isascii()


def test_bytes_that_are_no_text_on_the_command_line() -> None:
    ended = subprocess.run([sys.executable, "-m", "kubeboot", b"\xff\xfe"], capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr


SHOW = """
import os, sys
from kubeboot.cli import argv
blanked = argv.blank()
for name in ("cmdline", "environ"):
    sys.stdout.buffer.write(open(f"/proc/{os.getpid()}/{name}", "rb").read() + b"\\n")
print(blanked, sys.argv[1:], os.environ["KUBEBOOT_TOKEN"])
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/mem").exists(), reason="Linux only")
def test_a_token_leaves_the_process_list_and_stays_with_the_process(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "show.py"
    script.write_text(SHOW)
    token, key = "abcdef.0123456789abcdef", "f" * 64
    line = [
        "join",
        "h:1",
        "--token",
        token,
        f"--token={token}",
        "--certificate-key",
        key,
        "--token=odd",
        "last",
    ]
    ended = subprocess.run(
        [sys.executable, str(script), *line],
        env={**os.environ, "KUBEBOOT_TOKEN": token, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    cmdline, environ, rest = ended.stdout.split(b"\n", 2)
    arguments = cmdline.split(b"\0")[2:-1]
    hidden = b"*" * len(token)
    assert arguments == [
        b"join", b"h:1", b"--token", hidden, b"--token=" + hidden, b"--certificate-key", b"*" * 64,
        b"--token=***", b"last",
    ]  # fmt: skip
    assert b"KUBEBOOT_TOKEN=" + hidden in environ.split(b"\0")
    assert rest.decode() == f"True {line!r} {token}\n"


def test_nothing_is_lost_where_the_memory_cannot_be_written() -> None:
    with mock.patch("builtins.open", side_effect=PermissionError):
        assert argv.blank() is False
