"""What the machine's configuration directories hold: files that add up, and units that boots bring back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeboot.steps.preflight.model import Scene

ADMINISTRATORS = "/etc/systemd/system"
UNIT_DIRS = (
    ADMINISTRATORS,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
MANAGER = (
    "/etc/systemd/system.conf.d",
    "/run/systemd/system.conf.d",
    "/usr/local/lib/systemd/system.conf.d",
    "/usr/lib/systemd/system.conf.d",
)


def confs(scene: Scene, folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every .conf file and its text; a name in an earlier directory hides the same in a later one."""
    first: dict[str, str] = {}
    for folder, names in scene.listings(folders).items():
        for name in names:
            if name.endswith(".conf"):
                first.setdefault(name, f"{folder}/{name}")
    yield from scene.texts(first.values()).items()


def manager(scene: Scene) -> Iterator[tuple[str, str]]:
    """What systemd itself is told, the last word last."""
    yield "/etc/systemd/system.conf", scene.text("/etc/systemd/system.conf")
    yield from sorted(confs(scene, MANAGER), key=lambda pair: pair[0].rpartition("/")[2])


def units(scene: Scene) -> frozenset[str]:
    """The names of the unit files that are there."""
    return frozenset(name for names in scene.listings(UNIT_DIRS).values() for name in names)


def masked(scene: Scene, names: Iterable[str]) -> frozenset[str]:
    """Those of these units that an administrator wants never to start."""
    stats = scene.stats(f"{ADMINISTRATORS}/{name}" for name in names)
    return frozenset(
        path.rpartition("/")[2] for path, stat in stats.items() if stat and stat.target == "/dev/null"
    )


def enabled(scene: Scene) -> frozenset[str]:
    """The units that the next boot starts because someone has enabled them, and nobody has masked since."""
    wanting = [name for name in scene.see.listdir(ADMINISTRATORS) if name.endswith((".wants", ".requires"))]
    listings = scene.listings(f"{ADMINISTRATORS}/{folder}" for folder in wanting)
    names = frozenset(name for names in listings.values() for name in names)
    return names - masked(scene, names)
