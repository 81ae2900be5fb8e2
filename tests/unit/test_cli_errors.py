"""What goes wrong, and how it is said: one block, the documented exit code, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import subprocess
import sys
from unittest import mock

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.cli import actions, app, failure
from kubeboot.cli.terminal import Terminal
from kubeboot.fleet import orders
from kubeboot.host.local import LocalView
from tests.unit.cli_support import golden, run

EXIT_CODES = {
    errors.KubebootError: 1,
    errors.UsageProblem: 2,
    errors.PreflightFailed: 3,
    errors.ConfigInvalid: 4,
    errors.Unreachable: 5,
    errors.TimedOut: 6,
    errors.Occupied: 7,
    errors.Interrupted: 130,
}


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES.items(), ids=lambda v: getattr(v, "__name__", v))
def test_exit_codes(kind: type[errors.KubebootError], code: int) -> None:
    with mock.patch.object(actions, "init", side_effect=kind("it went wrong")):
        ran = run("init")
    assert ran.code == code
    assert ran.err.splitlines()[0] == "error: it went wrong"
    assert ran.err.endswith(f"exit {code}, reason {kind.reason}\n")
    assert "Traceback" not in ran.err
    assert "Traceback" in (ran.log or "")


def test_the_whole_output_of_a_failed_command_is_in_the_log() -> None:
    with mock.patch.object(actions, "init", side_effect=BLOCKS["long"]):
        ran = run("init")
    assert "line 9\n" not in ran.err
    assert "line 9\n" in (ran.log or "")


ETCD = errors.TimedOut(
    "etcd member `cp-2` did not become healthy within 1m0s",
    hint="check that port 2380 is open between control planes, then run the same command again",
    host="cp-2",
    step="etcd/member",
    reason="KB_ETCD_UNHEALTHY",
    output="dial tcp 10.0.0.12:2380: connect: connection refused\n",
)
BLOCKS = {
    "full": ETCD,
    "bare": errors.KubebootError("it went wrong"),
    "long": errors.KubebootError("a command failed", output="\n".join(f"line {n}" for n in range(30))),
    "preflight": errors.PreflightFailed(
        "30 findings", output="\n".join(f"[ERROR A{n}] x" for n in range(30))
    ),
    "usage": failure.from_click(click.UsageError("Got unexpected extra argument (x).")),
    "interrupted": failure.interrupted(),
    "bug": failure.unexpected(ValueError("two\nlines"), logged=True),
    "bug-unlogged": failure.unexpected(KeyError(), logged=False),
}


def test_the_error_block() -> None:
    log = "/var/log/kubeboot/2026-11-20T23-41-07-init.log"
    said = [f"[{name}]\n{failure.block(error, log, Terminal())}" for name, error in BLOCKS.items()]
    said.append(f"[painted]\n{failure.block(ETCD, None, Terminal(color=True))}")
    golden("cli-errors.txt", "\n\n".join(said) + "\n")


def test_an_error_as_json_is_on_stdout_and_for_people_on_stderr() -> None:
    with mock.patch.object(actions, "init", side_effect=ETCD):
        ran = run("init", "-o", "json")
    found = json.loads(ran.out)
    assert {k: found[k] for k in ("kind", "reason", "exitCode", "host", "step")} == {
        "kind": "Error", "reason": "KB_ETCD_UNHEALTHY", "exitCode": 6, "host": "cp-2", "step": "etcd/member",
    }  # fmt: skip
    assert ran.err.startswith("error: etcd member")


def test_a_bug_is_one_sentence_and_its_traceback_is_in_the_log() -> None:
    with mock.patch.object(actions, "status", side_effect=ZeroDivisionError("division by zero")):
        ran = run("status")
    assert ran.code == 1
    assert ran.err.startswith("error: something unexpected happened: ZeroDivisionError: division by zero\n")
    assert "reason KB_BUG" in ran.err
    assert "log: DIR/logs/" in ran.err
    assert "ZeroDivisionError: division by zero" in (ran.log or "")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), MemoryError(), RuntimeError("can't start new thread")],
)
def test_a_limit_of_the_system_is_no_bug(error: BaseException) -> None:
    with mock.patch.object(actions, "status", side_effect=error):
        ran = run("status")
    assert (ran.code, "ulimit" in ran.err, "KB_LIMIT" in ran.err) == (1, True, True)


def test_a_bug_before_any_log_opens_one() -> None:
    with mock.patch("kubeboot.config.loader.load", side_effect=ZeroDivisionError):
        ran = run("config", "print")
    assert (ran.code, "Traceback" in (ran.log or "")) == (1, True)


def test_a_bug_in_a_dry_run_leaves_no_file() -> None:
    with mock.patch.object(actions, "init", side_effect=ZeroDivisionError):
        ran = run("init", "--dry-run")
    assert (ran.code, ran.log) == (1, None)
    assert "the log has it" not in ran.err


def test_debug_shows_the_traceback_of_anything() -> None:
    for error in (ZeroDivisionError("x"), errors.TimedOut("y")):
        with mock.patch.object(actions, "status", side_effect=error):
            ran = run("status", "--debug")
            before = run("--debug", "status")
        assert "Traceback (most recent call last)" in ran.err
        assert before.code == ran.code
        assert "Traceback (most recent call last)" in before.err


def test_ctrl_c_is_130_and_says_how_to_go_on() -> None:
    with mock.patch.object(actions, "init", side_effect=KeyboardInterrupt):
        ran = run("init")
    assert ran.code == 130
    assert "hint: run the same command again; finished steps are kept" in ran.err


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (("inti",), "did you mean `init`?"),
        (("jion",), "did you mean `join`?"),
        (("kubeconfg",), "did you mean `kubeconfig`?"),
        (("token", "lst"), "did you mean `list`?"),
        (("config", "valdate"), "did you mean `validate`?"),
        (("init", "--dryrun"), "did you mean `--dry-run`?"),
        (("init", "--pod-network-cird", "x"), "did you mean `--pod-network-cidr`?"),
        (("join", "--discovery-token-ca-cert-hsh", "x"), "did you mean `--discovery-token-ca-cert-"),
        (("zzzzzz",), "`kubeboot --help` lists what there is"),
        (("init", "--zzzzzz"), "`kubeboot init --help` lists what there is"),
        (("init", "--foo"), "`kubeboot init --help` lists what there is"),
        (("init", "--lock", "x"), "`kubeboot init --help` lists what there is"),
        (("up", "--foo"), "`kubeboot up --help` lists what there is"),
        (("reset", "--fore"), "did you mean `--force`?"),
        (("completion", "powershell"), "`kubeboot completion --help` lists what there is"),
        (("version", "-o"), "`kubeboot --help` lists what there is"),
    ],
)
def test_did_you_mean(line: tuple[str, ...], hint: str) -> None:
    ran = run(*line)
    assert (ran.code, ran.out) == (2, "")
    assert f"hint: {hint}" in ran.err
    first = ran.err.splitlines()[0].removeprefix("error: ")
    assert first[0].islower() or first[0] == "`"
    assert not first.endswith(".")


def test_a_file_that_cannot_be_read_is_told_with_what_to_do() -> None:
    ran = run("init", "--token-file", "/nonexistent/token")
    assert ran.code == 2
    assert "--token-file /nonexistent/token cannot be read: no such file" in ran.err.splitlines()[0]
    assert "hint: name a file" in ran.err


JOIN = ("join", "127.0.0.1:1", "--token", "abcdef.0123456789abcdef")
PINNED = ("--discovery-token-ca-cert-hash", f"sha256:{'0f' * 32}")


@pytest.mark.parametrize("line", [("init",), ("etcd", "init"), (*JOIN, *PINNED)], ids=" ".join)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["", "dry"])
def test_a_bundle_that_is_not_there_is_told_before_any_look(
    line: tuple[str, ...], dry: tuple[str, ...]
) -> None:
    with mock.patch.object(LocalView, "facts", side_effect=AssertionError("looked at")):
        ran = run(*line, *dry, "--bundle", "/nonexistent/k.bundle")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.splitlines()[0] == "error: there is no bundle /nonexistent/k.bundle"
    assert "--bundle" in ran.err.split("hint: ")[1]


WORDS = st.sampled_from(
    ["init", "join", "reset", "token", "create", "list", "delete", "config", "print", "validate",
     "--config", "-", "--token", "--dry-run", "--yes", "-o", "json", "-v", "-q", "--debug", "--color",
     "never", "--help", "--", "10.0.0.11:8443", "abcdef.0123456789abcdef", "--node-name", "\x1b[31m", "",
     "--discovery-token-ca-cert-hash", f"sha256:{'0f' * 32}", "--pod-network-cidr", "10.0.0.0/8",
     "--token-ttl", "0", "=", "--=", "-x"]
)  # fmt: skip
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=()), max_size=30)
TOKEN_ACTIONS = ("token_create", "token_list", "token_delete")
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 130}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(WORDS, TEXTS), max_size=8), st.text(max_size=60))
def test_no_command_line_gives_a_traceback(line: list[str], stdin: str) -> None:
    names = ("init", "join", "reset", "status", "preflight", "doctor", "kubeconfig", *TOKEN_ACTIONS)
    failing = {name: mock.Mock(side_effect=errors.Unreachable("nobody there")) for name in names}
    with mock.patch.multiple(actions, **failing):
        ran = run(*line, stdin=stdin.encode("utf-8", "replace"))
    assert ran.code in DOCUMENTED
    assert "KB_BUG" not in ran.err
    told = "--debug" in line or sum(word in ("-v", "--verbose") for word in line) > 1
    assert "Traceback" not in ran.err or told


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
    from kubeboot.cli import argv

    with mock.patch("builtins.open", side_effect=PermissionError):
        assert argv.blank() is False


def test_the_log_is_the_owners_alone_and_without_secrets(tmp_path: pathlib.Path) -> None:
    from kubeboot import log

    redactor = log.Redactor()
    redactor.hide("correct-horse")
    found = log.start("join", tmp_path / "logs", redactor)
    try:
        import logging

        logging.getLogger("kubeboot.x").debug("token %s and %s", "abcdef.0123456789abcdef", "correct-horse")
        try:
            raise ValueError("--token abcdef.0123456789abcdef")
        except ValueError:
            logging.getLogger("kubeboot.x").exception("caught")
    finally:
        found.close()
    assert found.path is not None
    text = found.path.read_text()
    assert "0123456789abcdef" not in text
    assert "correct-horse" not in text
    assert "token abcdef.*** and ***" in text
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700


SECRETS = {
    "token": "abcdef.0123456789abcdef",
    "pem": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
    "cut-pem": "-----BEGIN PRIVATE KEY-----\nMHcCAQEE",
    "base64-pem": "client-key-data: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVF",
    "base64-ec": "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVF",
    "base64-rsa": "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSWNDQVFFRQ==",
    "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrOHMifQ.c2lnbmF0dXJlLWhlcmU",
    "bearer": "'Authorization': 'Bearer MHcCAQEE-0123456789abcdef'",
    "option": "--certificate-key MHcCAQEE0123456789abcdef",
}
KEYS = (
    "0123456789abcdef",
    "MHcCAQEE",
    "TUhjQ0FRRUU",
    "k1IY0NBUUVF",
    "MSWNDQVFFRQ",
    "pNSWNDQVFFRQ",
    "c2lnbmF0",
)


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_that_have_a_shape_are_taken_out(text: str) -> None:
    from kubeboot import log

    cleaned = log.Redactor().clean(f"before {text} after")
    assert cleaned.startswith("before ")
    assert "***" in cleaned
    assert not any(key in cleaned for key in KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + "0f" * 32,
        "/etc/kubernetes/pki/apiserver.crt",
        "registry.k8s.io/kube-apiserver:v1.37.1",
        "kubeboot.io/v1alpha1",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "10.244.0.0/16 cluster.local",
        "give either --token or --token-file",
        "a control plane needs --certificate-key or --certificate-key-file",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    from kubeboot import log

    assert log.Redactor().clean(text) == text


@given(st.text(min_size=6, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_that_was_named_never_comes_through(secret: str, before: str, after: str) -> None:
    from kubeboot import log

    redactor = log.Redactor()
    redactor.hide(secret)
    assert secret not in redactor.clean(before + secret + after) or secret in "***"


def test_two_runs_in_one_second_have_two_logs(tmp_path: pathlib.Path) -> None:
    from kubeboot import log

    paths = set()
    for _ in range(3):
        found = log.start("init", tmp_path, log.Redactor())
        paths.add(found.path)
        found.close()
    assert len(paths) == 3


def test_old_logs_go_and_other_files_stay(tmp_path: pathlib.Path) -> None:
    from kubeboot import log

    for n in range(60):
        (tmp_path / f"2020-01-01T00-00-{n:02}-init.log").touch()
    (tmp_path / "notes.log").touch()
    log.start("init", tmp_path, log.Redactor()).close()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert (len(left), left[0], "notes.log" in left) == (log.KEEP + 1, "2020-01-01T00-00-11-init.log", True)


LOGS = """
import logging, pathlib, resource, sys
from kubeboot import log
found = log.start("init", pathlib.Path(sys.argv[1]), log.Redactor())
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for _ in range(200):
    logging.getLogger("kubeboot").debug("x" * 99)
found.close()
"""


def test_a_log_whose_disk_fills_up_stops_nothing_and_says_nothing(tmp_path: pathlib.Path) -> None:
    argv = (sys.executable, "-c", LOGS, str(tmp_path))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert next(tmp_path.iterdir()).stat().st_size == 4096


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: pathlib.Path) -> None:
    from kubeboot import log

    (tmp_path / "file").touch()
    found = log.start("init", tmp_path / "file" / "logs", log.Redactor())
    assert found.path is None
    found.close()


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {"XDG_STATE_HOME": "/s"}, "/var/log/kubeboot"),
        (7, {"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/kubeboot"),
        (7, {"HOME": "/h"}, "/h/.local/state/kubeboot"),
    ],
)
def test_where_logs_go(uid: int, environ: dict[str, str], expected: str) -> None:
    from kubeboot import log

    assert str(log.directory(environ, uid)) == expected


def test_events_and_warnings_of_a_run_are_in_its_log() -> None:
    from kubeboot.engine.events import Notice

    def act(options: object, emit: actions.Emit) -> orders.InitResult:
        emit(Notice("info", "hello abcdef.0123456789abcdef"))
        return orders.InitResult(0, 1, 0.1)

    with mock.patch.object(actions, "init", act):
        ran = run("init")
        shown = run("init", "-vv")
        quiet = run("init", "-vvq")
    assert "hello abcdef.***" in (ran.log or "")
    assert "DEBUG" in shown.err
    assert "DEBUG" not in ran.err + quiet.err


def test_every_command_is_in_the_table() -> None:
    assert set(app.COMMANDS) == {
        "init", "join", "reset", "status", "preflight", "token", "kubeconfig", "config", "completion",
        "version", "certs", "node", "artifacts", "bundle", "support", "doctor", "etcd",
        "up", "plan", "down", "exec",
    }  # fmt: skip
