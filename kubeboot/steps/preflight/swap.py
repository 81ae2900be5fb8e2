"""Swap, and what brings it back after a reboot: the kubelet does not start with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.steps.preflight.model import Finding, Scene

ZRAM = ("/etc/systemd/zram-generator.conf", "/usr/lib/systemd/zram-generator.conf")
ZRAM_UNITS = (
    "zramswap.service",
    "zram-swap.service",
    "zram-config.service",
    "systemd-zram-setup@zram0.service",
)
GENERATED = "/run/systemd/generator.late"
"""Where systemd notes, at each boot, the swap partitions that it finds by their GPT type."""
UNIT_DIRS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


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
    swaps = [row[0] for row in rows if len(row) > 2 and row[2] == "swap" and "noauto" not in row[3:4]]
    if swaps:
        yield Finding(
            "SwapReturns-fstab",
            f"/etc/fstab turns {', '.join(swaps)} on as swap at the next boot; the kubelet will not start",
            r"sed -i.bak -E '/\sswap\s/s/^/#/' /etc/fstab && systemctl daemon-reload",
        )


def zram(scene: Scene) -> Iterable[Finding]:
    active = scene.see.active_units() & frozenset(ZRAM_UNITS)
    config = next((path for path in ZRAM if scene.text(path).strip()), "")
    if config == ZRAM[1] and scene.see.stat(ZRAM[0]) is not None:
        config = ""  # an empty file in /etc masks the distribution's
    if active or config:
        yield Finding(
            "SwapReturns-zram",
            f"{config or ', '.join(sorted(active))} turns compressed memory on as swap at the next boot",
            f"swapoff -a; : > {ZRAM[0]}; systemctl mask --now {' '.join(sorted(active)) or ZRAM_UNITS[-1]}",
        )


def units(scene: Scene) -> Iterable[Finding]:
    """Units that somebody wrote; those that systemd makes of /etc/fstab are in /run."""
    for unit in sorted({name for folder in UNIT_DIRS for name in _swaps(scene, folder)}):
        if scene.see.unit(unit).enabled or scene.see.unit(unit).active == "active":
            # what an administrator wrote there cannot be masked
            masked = "" if unit in _swaps(scene, UNIT_DIRS[0]) else f"; systemctl mask {unit}"
            yield Finding(
                f"SwapReturns-{unit}",
                f"{unit} turns swap on at the next boot, and the kubelet will not start",
                f"systemctl disable --now {unit}{masked}",
            )


def partitions(scene: Scene) -> Iterable[Finding]:
    """Nobody wrote these units; a file or mask of that name in /etc goes before them."""
    for unit in _swaps(scene, GENERATED):
        if scene.see.stat(f"{UNIT_DIRS[0]}/{unit}") is None:
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
    map(_where_it_matters, (swap, fstab, zram, units, partitions))
)
