"""The generic steps about files: whatever was there, they converge, show it, and put it back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot.engine.journal import Journal
from kubeboot.engine.step import Blocked, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import EmptyTree, RemoveTree
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from kubeboot.steps import basic, undoing
from tests.fakes.entries import Dir, File
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

NEW = b"a: 1\nb: 2\n"


def file(**more: object) -> basic.EnsureFile:
    given = {"id": "f", "title": "Write f", "on": "cp-1", "path": "/etc/k/f.yaml", "data": NEW, **more}
    return basic.EnsureFile(**given)  # type: ignore[arg-type]


def directory(**more: object) -> basic.EnsureDir:
    return basic.EnsureDir(**{"id": "d", "title": "Make d", "on": "cp-1", "path": "/srv/a/d", **more})  # type: ignore[arg-type]


def link() -> basic.EnsureLink:
    return basic.EnsureLink(id="l", title="Link l", on="cp-1", path="/etc/k/l", target="f-2.pem")


def view(host: FakeHost) -> View:
    return View(host, NoApi())


def check(step: Step, host: FakeHost) -> object:
    return step.check(view(host), Values())


def with_file(data: bytes = NEW, mode: int = 0o644, owner: str = "root:root") -> FakeHost:
    host = FakeHost()
    host.dirs["/etc/k"] = Dir()
    host.files["/etc/k/f.yaml"] = File(data, mode, owner)
    return host


def with_link(target: str) -> FakeHost:
    host = with_file()
    host.symlinks["/etc/k/l"] = target
    del host.files["/etc/k/f.yaml"]
    host.symlinks["/etc/k/f.yaml"] = target
    return host


FILES = {
    "absent, with its directory": (FakeHost, "create", "create /etc/k/f.yaml"),
    "other bytes": (lambda: with_file(b"a: 1\n"), "change", "change /etc/k/f.yaml"),
    "other mode": (lambda: with_file(mode=0o600), "change", "mode 0600 → 0644"),
    "other owner": (lambda: with_file(owner="990:990"), "change", "owner 990:990 → 0:0"),
    "a link": (lambda: with_link("elsewhere"), "change", "not a plain file"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_converges_and_is_put_back(case: str) -> None:
    made, change, words = FILES[case]
    found = converges(file(), made())
    assert found.change == change
    assert words in found.summary


@settings(max_examples=60, deadline=None)
@given(old=st.binary(max_size=40), new=st.binary(max_size=40), mode=st.sampled_from([0o600, 0o644, 0o755]))
def test_any_bytes_replace_any_bytes(old: bytes, new: bytes, mode: int) -> None:
    host = with_file(old, 0o640)
    converges(file(data=new, mode=mode), host)
    file(data=new, mode=mode).apply(Target(host, NoApi()), Values())
    assert host.files["/etc/k/f.yaml"] == File(new, mode)


def test_a_file_as_it_should_be_is_left_alone() -> None:
    host = with_file()
    assert check(file(), host) == Ok()
    assert host.changes == []


def test_a_files_diff_is_unified() -> None:
    found = check(file(), with_file(b"a: 1\nb: 3"))
    assert isinstance(found, Drift)
    assert found.diff == ("--- /etc/k/f.yaml\n+++ /etc/k/f.yaml\n@@ -1,2 +1,2 @@\n a: 1\n-b: 3\n+b: 2\n")


def test_a_new_file_is_shown_whole() -> None:
    found = check(file(), FakeHost())
    assert isinstance(found, Drift)
    assert found.diff == "--- /dev/null\n+++ /etc/k/f.yaml\n@@ -0,0 +1,2 @@\n+a: 1\n+b: 2\n"


def test_bytes_that_are_no_text_have_no_diff() -> None:
    found = check(file(data=b"\xff\xfe"), with_file())
    assert isinstance(found, Drift)
    assert found.diff is None


def test_a_secret_is_shown_nowhere() -> None:
    step = file(data=b"hunter2", secret=True, mode=0o600)
    found = check(step, with_file(b"hunter1"))
    assert isinstance(found, Drift)
    assert "hunter" not in f"{step!r} {found!r}"


IN_THE_WAY = (file(path="/etc"), basic.EnsureLink(id="l", title="l", on="cp-1", path="/etc", target="x"))


@pytest.mark.parametrize("step", IN_THE_WAY, ids=["file", "link"])
def test_a_directory_in_the_way_blocks(step: Step) -> None:
    assert isinstance(check(step, FakeHost()), Blocked)


def test_a_file_in_a_directorys_way_blocks() -> None:
    found = check(directory(path="/etc/hostname"), FakeHost())
    assert isinstance(found, Blocked)
    assert found.hint


@pytest.mark.parametrize("tree", [False, True])
def test_a_directory_is_made_with_what_is_above_it_and_goes_again(tree: bool) -> None:
    converges(directory(mode=0o700, tree=tree), FakeHost())


def test_a_directorys_mode_is_put_back() -> None:
    host = FakeHost()
    host.dirs |= {"/srv": Dir(), "/srv/a": Dir(), "/srv/a/d": Dir(0o755, "1:1")}
    assert converges(directory(mode=0o700), host).summary == "/srv/a/d/: mode 0755 → 0700, owner 1:1 → 0:0"


def test_a_directory_that_was_moved_elsewhere_and_linked_is_as_good() -> None:
    host = FakeHost()
    host.dirs |= {"/data": Dir(), "/data/etcd": Dir(0o700)}
    host.symlinks["/var/lib/etcd"] = "/data/etcd"
    step = directory(path="/var/lib/etcd", mode=0o700, tree=True)
    assert check(step, host) == Ok()
    host.dirs["/data/etcd"] = Dir(0o755)
    converges(step, host)
    step.apply(Target(host, NoApi()), Values())
    assert host.dirs["/data/etcd"].mode == 0o700
    assert host.symlinks["/var/lib/etcd"] == "/data/etcd"


def test_a_tree_goes_with_what_came_into_it_later() -> None:
    host = FakeHost()
    step = directory(path="/var/lib/d", tree=True)
    assert RemoveTree("/var/lib/d") in step.undo(view(host))
    host.dirs["/var/lib/d"] = Dir(0o700)
    assert EmptyTree("/var/lib/d") in step.undo(view(host))


def test_a_directory_of_ours_stays_when_somebody_else_uses_it() -> None:
    host = FakeHost()
    before = host.snapshot()
    changes = file().undo(view(host))
    file().apply(Target(host, NoApi()), Values())
    host.files["/etc/k/theirs"] = File(b"theirs")
    for change in reversed(changes):
        undoing.perform(change, Target(host, NoApi()))
    assert host.files["/etc/k/theirs"] == File(b"theirs")
    assert "/etc/k/f.yaml" not in host.files
    del host.files["/etc/k/theirs"], host.dirs["/etc/k"]
    assert host.snapshot() == before


LINKS = {
    "absent": (FakeHost, "create"),
    "another": (lambda: with_link("f-1.pem"), "change"),
}


@pytest.mark.parametrize("case", LINKS)
def test_a_link_converges_and_is_put_back(case: str) -> None:
    made, change = LINKS[case]
    assert converges(link(), made()).change == change


def test_a_file_in_a_links_place_is_kept() -> None:
    host = with_file()
    host.files["/etc/k/l"] = File(b"key", 0o600)
    converges(link(), host)


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_writing_the_next_run_finishes(after: bool) -> None:
    host = FakeHost()
    target = Target(host, NoApi())
    journal = Journal(host)
    journal.begin("test")
    host.fail_at("/etc/k/f.yaml", after=after)
    with pytest.raises(CommandFailed):
        file().apply(target, Values())
    host.faults.clear()
    assert isinstance(check(file(), host), Ok if after else Drift)
    file().apply(target, Values())
    assert check(file(), host) == Ok()


def test_a_digest_knows_where_one_part_ends() -> None:
    assert basic.digest("ab", "c") != basic.digest("a", "bc")
    assert basic.digest("ab") == basic.digest(b"ab") != basic.digest("ab", "")
