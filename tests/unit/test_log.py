"""The log of a run: for its owner alone, without secrets, and never in the way of the run."""

from __future__ import annotations

import logging
import pathlib
import stat
import subprocess
import sys
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import log
from kubeboot.cli import actions
from kubeboot.engine.events import Notice
from kubeboot.fleet import orders
from tests.unit.cli_support import run


def test_the_log_is_the_owners_alone_and_without_secrets(tmp_path: pathlib.Path) -> None:
    redactor = log.Redactor()
    redactor.hide("correct-horse")
    found = log.start("join", tmp_path / "logs", redactor)
    try:
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
    assert log.Redactor().clean(text) == text


@given(st.text(min_size=6, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_that_was_named_never_comes_through(secret: str, before: str, after: str) -> None:
    redactor = log.Redactor()
    redactor.hide(secret)
    assert secret not in redactor.clean(before + secret + after) or secret in "***"


def test_two_runs_in_one_second_have_two_logs(tmp_path: pathlib.Path) -> None:
    paths = set()
    for _ in range(3):
        found = log.start("init", tmp_path, log.Redactor())
        paths.add(found.path)
        found.close()
    assert len(paths) == 3


def test_old_logs_go_and_other_files_stay(tmp_path: pathlib.Path) -> None:
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
    done = subprocess.run(
        (sys.executable, "-c", LOGS, str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert next(tmp_path.iterdir()).stat().st_size == 4096


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: pathlib.Path) -> None:
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
    assert str(log.directory(environ, uid)) == expected


def test_events_and_warnings_of_a_run_are_in_its_log() -> None:
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
