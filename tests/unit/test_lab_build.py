"""What the lab's cache and lock promise: nothing is built twice, and nothing old passes for new."""

from __future__ import annotations

import fcntl
import re
import shutil
import threading
from pathlib import Path
from typing import IO

import pytest
from lablib import build, build_source, build_upstream, cache, lock, tools

from kubeboot import errors


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEBOOT_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(target: Path) -> None:
    (target / "file").write_text("made")


def never(target: Path) -> None:
    raise AssertionError("built again")


def test_a_second_call_builds_nothing() -> None:
    first = cache.cached("thing", "k1", fill)
    assert cache.cached("thing", "k1", never) == first
    assert (first / "file").read_text() == "made"


def test_another_key_is_another_entry() -> None:
    assert cache.cached("thing", "k1", fill) != cache.cached("thing", "k2", fill)


def test_an_interrupted_build_is_not_taken_for_a_finished_one() -> None:
    def interrupted(target: Path) -> None:
        (target / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.cached("thing", "k1", interrupted)
    assert not cache.entry("thing", "k1").exists()
    done = cache.cached("thing", "k1", fill)
    assert [each.name for each in done.iterdir()] == ["file"]


def test_parallel_builds_of_one_entry_build_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, waiting, calls = threading.Event(), threading.Event(), []
    flock = fcntl.flock

    def seen(handle: IO[str], flags: int) -> None:
        if not flags & fcntl.LOCK_NB:
            waiting.set()
        flock(handle, flags)

    def slow(target: Path) -> None:
        calls.append(target)
        inside.set()
        assert waiting.wait(60)

    monkeypatch.setattr(fcntl, "flock", seen)
    threads = [threading.Thread(target=cache.cached, args=("thing", "k1", slow)) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert inside.wait(60)
    for thread in threads:
        thread.join(60)
    assert len(calls) == 1 and cache.entry("thing", "k1").is_dir()
    assert capsys.readouterr().err == "waiting for another build of thing-k1\n"


def test_pruning_takes_only_other_keys_of_the_same_name() -> None:
    keys = [cache.key_of(each) for each in range(3)]
    for name, key in (("etcd", keys[0]), ("etcd", keys[1]), ("etcd-x", keys[2])):
        cache.cached(name, key, fill)
    assert cache.prune("etcd", keys[0]) == [cache.entry("etcd", keys[1])]
    assert cache.entry("etcd", keys[0]).exists() and cache.entry("etcd-x", keys[2]).exists()


def test_the_cache_is_found_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEBOOT_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.root() == Path("/x/kubeboot-lab")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache.root() == Path.home() / ".cache/kubeboot-lab"


def test_a_file_counts_by_its_content_alone(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    a, b, c = (cache.key_of("x", tmp_path / name) for name in "abc")
    assert a == b != c


def test_what_has_no_stable_form_cannot_be_in_a_key() -> None:
    with pytest.raises(TypeError):
        cache.key_of(object())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lock and the components, to change."""
    home = tmp_path / "vagrant"
    home.mkdir()
    shutil.copytree(lock.COMPONENTS, home / "components")
    shutil.copy(lock.HERE / "lab.lock.yaml", home)
    monkeypatch.setattr(lock, "HERE", home)
    monkeypatch.setattr(lock, "COMPONENTS", home / "components")
    return home


def keys(home: Path, arch: str = "amd64") -> dict[str, str]:
    return {name: each.key for name, each in lock.load(home / "lab.lock.yaml", arch).executables.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("path", "rebuilt"),
    [
        ("components/etcd/go.sum", {"etcd", "etcdctl", "etcdutl"}),
        ("components/runc/go.mod", {"runc"}),
        ("components/pause/pause.c", {"pause"}),
    ],
)
def test_a_changed_component_rebuilds_only_itself(checkout: Path, path: str, rebuilt: set[str]) -> None:
    before, bundle_before = keys(checkout), build.bundle_key(lock.load(checkout / "lab.lock.yaml"))
    with (checkout / path).open("a") as file:
        file.write("// changed\n")
    assert changed(before, keys(checkout)) == rebuilt
    assert build.bundle_key(lock.load(checkout / "lab.lock.yaml")) != bundle_before


@pytest.mark.parametrize(
    ("old", "new", "rebuilt"),
    [
        ("version: v3.7.3", "version: v3.7.4", {"etcd", "etcdctl", "etcdutl"}),
        ("version: 3.10.2", "version: 3.10.3", {"pause"}),
        ("stop_signal: SIGUSR1", "stop_signal: SIGTERM", set()),
    ],
)
def test_a_changed_lock_rebuilds_what_it_changes(
    checkout: Path, old: str, new: str, rebuilt: set[str]
) -> None:
    path = checkout / "lab.lock.yaml"
    before, bundle_before = keys(checkout), build.bundle_path(lock.load(path))
    path.write_text(path.read_text().replace(old, new))
    assert changed(before, keys(checkout)) == rebuilt
    assert build.bundle_path(lock.load(path)) != bundle_before


def test_a_comment_rebuilds_nothing(checkout: Path) -> None:
    path = checkout / "lab.lock.yaml"
    before = build.bundle_path(lock.load(path))
    path.write_text("# a comment\n" + path.read_text())
    assert build.bundle_path(lock.load(path)) == before


def test_another_architecture_shares_nothing(checkout: Path) -> None:
    amd, arm = keys(checkout, "amd64"), keys(checkout, "arm64")
    assert changed(amd, arm) == set(amd)


def test_an_unknown_field_in_the_lock_is_an_error(checkout: Path) -> None:
    path = checkout / "lab.lock.yaml"
    path.write_text(path.read_text().replace("stop_signal: SIGUSR1", "stop_sginal: SIGUSR1"))
    with pytest.raises(TypeError, match="stop_sginal"):
        lock.load(path)


@pytest.mark.parametrize("name", sorted(lock.load().data["modules"]))
def test_the_locks_versions_are_those_of_go_mod(name: str) -> None:
    fields = lock.load().data["modules"][name]
    required = dict(
        re.findall(r"^\s*(?:require )?(\S+) (v\S+)", (lock.COMPONENTS / name / "go.mod").read_text(), re.M)
    )
    for package in fields["packages"].values():
        module = max((each for each in required if package.startswith(each)), key=len)
        assert required[module] == fields["version"]


def test_the_lock_is_consistent() -> None:
    locked = lock.load()
    kubernetes = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    assert set(locked.images) == kubernetes | {
        "etcd", "coredns", "pause", "flannel", "haproxy", "httpd", "keepalived",
    }  # fmt: skip
    assert set(locked.binaries) <= set(locked.executables)
    for component in locked.images:
        assert locked.chain(component)[-1] == component
    used = {name for layer in locked.layers.values() for name in layer.binaries} | set(locked.binaries)
    assert used == set(locked.executables)
    assert locked.chain("flannel") == ("static", "base", "netfilter", "flannel")
    assert locked.images["kube-apiserver"].name.endswith(locked.kubernetes)


def test_go_is_told_everything_that_decides_its_output(tmp_path: Path) -> None:
    locked = lock.load(arch="arm64")
    recipe = locked.executables["runc"].recipe
    assert isinstance(recipe, lock.GoRecipe)
    command = build_source.go_command(recipe, tmp_path / "runc")
    assert command[:6] == ["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-tags"]
    assert command[6] == "seccomp,netgo,osusergo"
    assert "-extldflags -static" in command[8] and "-X main.version=1.5.2" in command[8]
    assert command[-1] == "github.com/opencontainers/runc"
    env = build_source.go_environment(recipe, "arm64")
    assert (env["GOARCH"], env["CGO_ENABLED"], env["GOFLAGS"]) == ("arm64", "1", "")
    assert env["GOTOOLCHAIN"] == locked.data["toolchain"]


def test_pause_is_built_and_knows_its_version(tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler here")
    build_source.build(lock.load().executables["pause"], "amd64", tmp_path / "pause")
    assert tools.run([str(tmp_path / "pause"), "-v"]) == "pause.c 3.10.2\n"


def test_a_missing_go_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(errors.KubebootError, match="needs Go") as caught:
        tools.need("go")
    assert "https://go.dev/dl" in (caught.value.hint or "")


def test_a_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(errors.KubebootError) as caught:
        tools.need("gcc", "docker")
    assert caught.value.hint == "sudo apt-get install -y --no-install-recommends gcc docker.io"


def test_a_failed_program_shows_its_last_lines() -> None:
    with pytest.raises(errors.KubebootError) as caught:
        tools.run(["sh", "-c", "seq 40; echo why >&2; exit 3"])
    assert "ended with 3" in caught.value.message and "why" in caught.value.message


def test_an_interrupted_build_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    locked, made = lock.load(), list[str]()

    def until_the_third(each: lock.Executable, arch: str, target: Path) -> None:
        if len(made) == 3:
            made.append("interrupted")
            raise KeyboardInterrupt
        made.append(each.name)
        target.write_text(each.name)

    monkeypatch.setattr(build_source, "build", until_the_third)
    monkeypatch.setattr(build_upstream.Releases, "fetch", lambda *_: False)
    with pytest.raises(KeyboardInterrupt):
        build.executables(locked, lambda _: None)
    said: list[str] = []
    found = build.executables(locked, said.append)
    assert [each for each in made if each != "interrupted"] == list(locked.executables)
    assert all(path.read_text() == name and path.stat().st_mode & 0o111 for name, path in found.items())
    assert not any("kubelet" in line for line in said)
