"""Swap, and what brings it back after a reboot: the kubelet does not start with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene

ZRAM = tuple(
    f"{folder}/systemd/zram-generator.conf" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
)
"""The first one that is there hides the others."""
ZRAM_DIRS = tuple(f"{path}.d" for path in ZRAM)
ZRAM_UNIT = "systemd-zram-setup@zram0.service"
_ZRAM_DEVICE = re.compile(r"^\s*\[zram\d+\]", re.MULTILINE)
_ZRAM_UNITS = re.compile(
    r"(zramswap|zram-swap|zram-config|zramd|armbian-zram-config|systemd-zram-setup@.+)\.service"
)
SWAP_UNITS = ("dphys-swapfile.service", "swapspace.service")
"""What makes swap files by itself."""
_SWAPON = re.compile(r"^[^#\n]*\bswapon\b", re.MULTILINE)
GENERATED = "/run/systemd/generator.late"
"""Where systemd notes, at each boot, the swap partitions that it finds by their GPT type."""


def swap(scene: Scene) -> Iterable[Finding]:
    if scene.facts.swap:
        yield Finding(
            "Swap",
            f"swap is on: {', '.join(scene.facts.swap)}; the kubelet refuses to start with it",
            "swapoff -a",
        )


def fstab(scene: Scene) -> Iterable[Finding]:
    rows = (
        line.split() for line in scene.text("/etc/fstab").splitlines() if not line.lstrip().startswith("#")
    )
    swaps = [row[0] for row in rows if len(row) > 2 and row[2] == "swap" and "noauto" not in _options(row)]
    if swaps:
        yield Finding(
            "SwapReturns-fstab",
            f"/etc/fstab turns {', '.join(swaps)} on as swap at the next boot; the kubelet will not start",
            r"sed -i.bak -E '/\sswap(\s|$)/s/^/#/' /etc/fstab && systemctl daemon-reload",
        )


def _options(row: list[str]) -> list[str]:
    return row[3].split(",") if len(row) > 3 else []


def zram(scene: Scene) -> Iterable[Finding]:
    units = sorted(filter(_ZRAM_UNITS.fullmatch, scene.see.active_units() | configured.enabled(scene)))
    first = [path for path, stat in scene.stats(ZRAM).items() if stat is not None][:1]
    files = (*scene.texts(first).items(), *configured.confs(scene, ZRAM_DIRS))
    config = next((path for path, text in files if _ZRAM_DEVICE.search(text)), "")
    hide = f"install -D /dev/null /etc/systemd/{config.partition('/systemd/')[2]}; " if config else ""
    if units or config:
        yield Finding(
            "SwapReturns-zram",
            f"{config or ', '.join(units)} turns compressed memory on as swap at the next boot",
            f"swapoff -a; {hide}systemctl mask --now {' '.join(units) or ZRAM_UNIT}",
        )


def units(scene: Scene) -> Iterable[Finding]:
    """Units that someone wrote; those that systemd makes of /etc/fstab are in /run."""
    names = configured.units(scene)
    for unit in sorted(name for name in names if name.endswith(".swap")):
        pulled = unit in configured.enabled(scene)
        if pulled or scene.see.unit(unit).enabled or scene.see.unit(unit).active == "active":
            # what an administrator wrote there cannot be masked
            masked = "" if unit in _swaps(scene, configured.ADMINISTRATORS) else f"; systemctl mask {unit}"
            yield Finding(
                f"SwapReturns-{unit}",
                f"{unit} turns swap on at the next boot, and the kubelet will not start",
                f"systemctl disable --now {unit}{masked}",
            )


def scripts(scene: Scene) -> Iterable[Finding]:
    """Services and boot scripts that turn it on by themselves."""
    coming = (scene.see.active_units() | configured.enabled(scene)) & frozenset(SWAP_UNITS)
    for unit in sorted(coming | frozenset(_own_services(scene))):
        yield Finding(
            f"SwapReturns-{unit}",
            f"{unit} turns swap on at every boot, and the kubelet will not start",
            f"systemctl disable --now {unit}; swapoff -a",
        )
    if _SWAPON.search(scene.text("/etc/rc.local")):
        yield Finding(
            "SwapReturns-rc.local",
            "/etc/rc.local turns swap on at every boot, and the kubelet will not start",
            "sed -i '/swapon/d' /etc/rc.local; swapoff -a",
        )


def _own_services(scene: Scene) -> Iterable[str]:
    """Enabled services of an administrator's own that call swapon."""
    here = frozenset(scene.see.listdir(configured.ADMINISTRATORS)) & configured.enabled(scene)
    names = [name for name in sorted(here) if name.endswith(".service")]
    texts = scene.texts(f"{configured.ADMINISTRATORS}/{name}" for name in names)
    return [path.rpartition("/")[2] for path, text in texts.items() if _SWAPON.search(text)]


def partitions(scene: Scene) -> Iterable[Finding]:
    """Nobody wrote these units; a file or mask of that name in /etc goes before them."""
    for unit in _swaps(scene, GENERATED):
        if scene.see.stat(f"{configured.ADMINISTRATORS}/{unit}") is None:
            yield Finding(
                f"SwapReturns-{unit}",
                f"systemd finds a swap partition by its type, and turns it on at every boot as {unit}",
                f"systemctl mask --now {unit}",
            )


def _swaps(scene: Scene, folder: str) -> list[str]:
    return [name for name in scene.see.listdir(folder) if name.endswith(".swap")]


def _where_it_matters(check: Callable[[Scene], Iterable[Finding]]) -> Callable[[Scene], Iterable[Finding]]:
    """Nothing to say where the kubelets are told to live with swap."""

    def found(scene: Scene) -> Iterable[Finding]:
        return () if scene.spec.kubelet.get("failSwapOn") is False else check(scene)

    return found


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = tuple(
    map(_where_it_matters, (swap, fstab, zram, units, scripts, partitions))
)
