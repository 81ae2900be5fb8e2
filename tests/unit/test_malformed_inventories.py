"""`kubeboot plan -i` with inventories that are wrong: the right exit code, no traceback, nothing changed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.inventory import ansible
from tests.unit import malformed_inventories as wrong
from tests.unit import malformed_runs
from tests.unit.cli_support import Ran, run

SEED = int(os.environ.get("KUBEBOOT_SEED", "1"))
REFUSED = {"KB_INVENTORY", "KB_CONFIG", "KB_CONFIG_INVALID", "KB_NODE_NAME"}


def planned(listed: Any, path: Path) -> Ran:
    """With an inventory that Ansible would list so; `path` is there."""
    with mock.patch.object(ansible, "_listed", lambda _: listed):
        return malformed_runs.untouched(("plan", "-i", str(path)))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "hosts").touch()
    return tmp_path / "hosts"


def test_the_good_one_is_good(here: Path) -> None:
    assert planned(wrong.GOOD, here).code == 5, "nobody is there to be asked"


@pytest.mark.parametrize("name", wrong.LISTED)
def test_what_ansible_lists_may_be_wrong(name: str, here: Path) -> None:
    ran = planned(wrong.LISTED[name], here)
    assert ran.code == 4, ascii(ran.err)
    assert not malformed_runs.is_traceback(ran), ascii(ran.err)
    assert str(here) in ran.err, "it says which inventory"


def tried(count: int, here: Path) -> None:
    draw = random.Random(SEED)  # noqa: S311
    for number in range(count):
        listed: Any = wrong.GOOD
        for _ in range(draw.randint(1, 3)):
            listed = wrong.spoilt(draw, listed)
        if not isinstance(listed, Mapping):
            continue  # `_listed` has refused it
        ran = planned(listed, here)
        where = f"inventory {number}, KUBEBOOT_SEED={SEED}: {listed!a} {ran.err[-2000:]}"
        assert ran.code in (4, 5), where
        assert not malformed_runs.is_traceback(ran), where


def test_no_mutated_inventory_is_a_traceback(here: Path) -> None:
    tried(250, here)


@pytest.mark.chaos
def test_ten_thousand_mutated_inventories(here: Path, tally: Callable[[int, int], None]) -> None:
    tried(10_000, here)
    tally(10_000, 10_000)


def written(files: Mapping[str, str], home: Path) -> Path:
    """The files; the path that names them."""
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return home if len(files) > 1 else home / next(iter(files))


def really(name: str, home: Path) -> None:
    """Read by Ansible itself."""
    path = written(wrong.FILES[name], home)
    before = malformed_runs.picture(str(home))
    with mock.patch.object(malformed_runs.actions, "plan", side_effect=errors.Unreachable("nobody there")):
        ran = run("plan", "-i", str(path))
    assert ran.code == 4, ascii(ran.err)
    assert not malformed_runs.is_traceback(ran) and str(path) in ran.err, ascii(ran.err)
    assert malformed_runs.picture(str(home)) == before


@pytest.mark.parametrize("name", wrong.REALLY_READ)
def test_a_file_that_ansible_reads(name: str, tmp_path: Path) -> None:
    really(name, tmp_path)


@pytest.mark.chaos
@pytest.mark.parametrize("name", sorted(set(wrong.FILES) - set(wrong.REALLY_READ)))
def test_every_file_that_ansible_reads(name: str, tmp_path: Path) -> None:
    really(name, tmp_path)
