"""`vagrant/lab build`: executables, images and the bundle that holds them."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.artifacts import bundle, oci, pack
from lablib import build_debian, build_files, build_layers, build_source, build_upstream, cache, lock

Say = Callable[[str], None]

BUNDLE = "bundle.tar"
SUM = "bundle.tar.sha256"
ORIGIN = "origin"


def bundle_path(locked: lock.Lock | None = None) -> Path:
    """Where this checkout's bundle is, or will be after `build`."""
    return cache.entry("bundle", bundle_key(locked or lock.load())) / BUNDLE


def bundle_key(locked: lock.Lock) -> str:
    """Changes with everything that a bundle is made from, the code that packs it included."""
    code = [_source(each) for each in (build_layers, build_files, build_debian, bundle, oci, pack)]
    return cache.key_of(locked.data, locked.arch, [each.key for each in locked.executables.values()], code)


def build(say: Say) -> Path:
    """Make what is missing; the bundle's path. Whatever was made before an interruption is used."""
    locked = lock.load()
    return (
        cache.cached("bundle", bundle_key(locked), lambda target: _make_bundle(locked, target, say)) / BUNDLE
    )


def prune(say: Say) -> None:
    """Remove from the cache what this checkout's lock replaced."""
    locked = lock.load()
    current = {each.name: each.key for each in locked.executables.values()}
    current |= {"bundle": bundle_key(locked), "debian": debian_key(locked)}
    for name, key in current.items():
        for gone in cache.prune(name, key):
            say(f"removed {gone}")


def bundle_sum(path: Path) -> str:
    """The sha256 that was noted when the bundle was written."""
    return (path.parent / SUM).read_text().split()[0]


def executables(locked: lock.Lock, say: Say) -> Mapping[str, Path]:
    """Every executable's file by name."""
    releases = build_upstream.Releases()
    made, count = {}, len(locked.executables)
    for number, each in enumerate(locked.executables.values(), 1):
        made[each.name] = _executable(each, locked.arch, releases, _numbered(say, number, count))
    return made


def debian_root(locked: lock.Lock, say: Say) -> Path:
    """The unpacked Debian packages."""

    def make(target: Path) -> None:
        say("Debian packages …")
        build_debian.unpack(locked.debian, locked.arch, target)

    return cache.cached("debian", debian_key(locked), make)


def debian_key(locked: lock.Lock) -> str:
    """Changes with the packages that are asked for, not with their updates."""
    return cache.key_of(locked.data["debian"], locked.arch, _source(build_debian))


def _executable(each: lock.Executable, arch: str, releases: build_upstream.Releases, say: Say) -> Path:
    def make(target: Path) -> None:
        say(f"{each.name} {each.version} …")
        start = time.monotonic()
        origin = _from_anywhere(each, arch, releases, target / each.name)
        (target / each.name).chmod(0o755)
        (target / ORIGIN).write_text(f"{origin}\n")
        say(f"{each.name} {each.version} from {origin}, {time.monotonic() - start:.0f} s")

    return cache.cached(each.name, each.key, make) / each.name


def _from_anywhere(each: lock.Executable, arch: str, releases: build_upstream.Releases, target: Path) -> str:
    upstream = each.recipe.module.upstream if isinstance(each.recipe, lock.GoRecipe) else None
    if upstream and releases.fetch(upstream, each.name, arch, target):
        return "the upstream's release"
    build_source.build(each, arch, target)
    return "source"


def _make_bundle(locked: lock.Lock, target: Path, say: Say) -> None:
    made = executables(locked, say)
    debian = debian_root(locked, say)
    _expect_versions(locked, debian)
    say("images and bundle …")
    layers = _layers(locked, made, build_files.Root(debian / build_debian.ROOT, locked.arch), target)
    contents = pack.Contents(
        kubernetes_version=locked.kubernetes,
        arch=locked.arch,
        images=tuple(_image(locked, component, layers) for component in locked.images),
        binaries=tuple(_binary(locked, name, path, made) for name, path in locked.binaries.items()),
    )
    sum_ = pack.write(target / BUNDLE, contents)
    (target / SUM).write_text(f"{sum_}  {BUNDLE}\n")
    for name in locked.layers:
        _layer_file(target, name).unlink()


def _layers(
    locked: lock.Lock, made: Mapping[str, Path], root: build_files.Root, target: Path
) -> Mapping[str, pack.Blob]:
    blobs = {}
    for name, layer in locked.layers.items():
        lower = [root.closure(locked.layers[each].debian) for each in locked.chain(name)[:-1]]
        entries = build_layers.nodes(layer, root, made, frozenset().union(*lower))
        build_layers.write(_layer_file(target, name), entries)
        blobs[name] = pack.Blob.of(_layer_file(target, name))
    return blobs


def _layer_file(target: Path, name: str) -> Path:
    return target / f"layer-{name}.tar"


def _image(locked: lock.Lock, component: str, layers: Mapping[str, pack.Blob]) -> pack.Image:
    image = locked.images[component]
    chain = tuple(layers[each] for each in locked.chain(component))
    config = build_layers.config(image, locked.arch, tuple(each.digest for each in chain))
    return pack.Image(component, image.name, pack.Blob.of(config), chain)


def _binary(locked: lock.Lock, name: str, path: str, made: Mapping[str, Path]) -> pack.Binary:
    return pack.Binary(name, locked.executables[name].version, path, pack.Blob.of(made[name]))


def _expect_versions(locked: lock.Lock, debian: Path) -> None:
    """An image that is tagged with a Debian package's version must hold that version."""
    for image in locked.images.values():
        tag = image.name.rpartition(":")[2]
        if image.package and (found := build_debian.version(debian, image.package)) != tag:
            raise errors.ConfigInvalid(f"{image.name}: Debian has {found}", hint="change lab.lock.yaml")


def _source(module: types.ModuleType) -> Path:
    return Path(str(module.__file__))


def _numbered(say: Say, number: int, count: int) -> Say:
    return lambda text: say(f"[{number:2}/{count}] {text}")
