"""An in-memory systemd: just enough to know what a unit's process was started with.

As the real one, it goes on using what it has loaded until `reload` (which `enable` and `disable` imply).
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Mapping

from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Unit

ROOTS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")


def full_name(name: str) -> str:
    """`kubelet` as systemctl reads it: `kubelet.service`."""
    return name if "." in name else f"{name}.service"


@dataclasses.dataclass
class FakeSystemd:
    """Units by name. `files` gives the present files; `broken` names units whose start fails."""

    files: Callable[[], Mapping[str, bytes]]
    units: dict[str, Unit] = dataclasses.field(default_factory=dict)
    broken: dict[str, str] = dataclasses.field(default_factory=dict)
    loaded: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    next_pid: int = 1000

    def show(self, name: str) -> Unit:
        """As `systemctl show`: an unknown unit is not loaded."""
        name = full_name(name)
        known = self.units.get(name, Unit(name))
        lines = self._on_disk(name)
        stale = name in self.loaded and self.loaded[name] != (lines or ())
        return dataclasses.replace(known, loaded=known.loaded or lines is not None, stale=stale)

    def reload(self) -> None:
        """What is loaded is read anew; what is gone is forgotten."""
        self.loaded = {n: lines for n in self.loaded if (lines := self._on_disk(n)) is not None}

    def start(self, name: str, again: bool = False) -> Unit:
        """Start, or restart when `again`; a running unit keeps its process otherwise."""
        unit = self.show(name)
        if unit.active == "active" and not again:
            return unit
        lines = self._load(unit.name)
        served = f"{unit.name.removesuffix('.timer')}.service"
        if unit.name.endswith(".timer") and self._on_disk(served) is not None:
            self._load(served)
        if unit.name in self.broken:
            result = self.broken[unit.name]
            self.units[unit.name] = dataclasses.replace(unit, active="failed", pid=0, result=result)
            raise CommandFailed(f"systemctl start {unit.name} failed: {result}")
        self.next_pid += 1
        environment = self._environment(lines)
        started = dataclasses.replace(
            unit, loaded=True, active="active", pid=self.next_pid, environment=environment, result="success"
        )
        self.units[unit.name] = started
        return started

    def stop(self, name: str) -> None:
        unit = self.show(name)
        self.units[unit.name] = dataclasses.replace(unit, active="inactive", pid=0, environment={})

    def enable(self, name: str, enabled: bool = True) -> None:
        """Enable or disable; both re-read all units from disk."""
        self.reload()
        unit = self.show(name)
        if enabled:
            self._load(unit.name)
        self.units[unit.name] = dataclasses.replace(unit, enabled=enabled)

    def _load(self, name: str) -> tuple[str, ...]:
        if name not in self.loaded:
            lines = self._on_disk(name)
            if lines is None and not self.units.get(name, Unit(name)).loaded:
                raise CommandFailed(f"Unit {name} not found.")
            self.loaded[name] = lines or ()
        return self.loaded[name]

    def _on_disk(self, name: str) -> tuple[str, ...] | None:
        files = self.files()
        main = next((files[f"{root}/{name}"] for root in ROOTS if f"{root}/{name}" in files), None)
        if main is None:
            return None
        drop_ins = {
            path.rpartition("/")[2]: data
            for root in reversed(ROOTS)
            for path, data in files.items()
            if path.startswith(f"{root}/{name}.d/") and path.endswith(".conf")
        }
        texts = [main, *(drop_ins[key] for key in sorted(drop_ins))]
        return tuple(line.strip() for text in texts for line in text.decode().splitlines())

    def _environment(self, lines: tuple[str, ...]) -> dict[str, str]:
        environment: dict[str, str] = {}
        from_files: dict[str, str] = {}
        for line in lines:
            key, _, value = line.partition("=")
            if key == "Environment":
                environment = {**environment, **_pairs(shlex.split(value))} if value else {}
            elif key == "EnvironmentFile":
                text = self.files().get(value.removeprefix("-"), b"").decode()
                from_files |= _pairs(" ".join(shlex.split(row)) for row in text.splitlines() if "=" in row)
        return environment | from_files


def _pairs(words: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}
