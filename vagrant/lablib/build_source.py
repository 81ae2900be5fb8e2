"""Executables from source: Go packages out of pinned modules, and a C file."""

from __future__ import annotations

from pathlib import Path

from lablib import lock, tools

_STATIC = "-linkmode external -extldflags -static"


def build(executable: lock.Executable, arch: str, target: Path) -> None:
    """Make one executable at `target`."""
    if isinstance(executable.recipe, lock.Source):
        _compile_c(executable, lock.HERE / executable.recipe.file, target)
    else:
        _compile_go(executable.recipe, arch, target)


def _compile_go(recipe: lock.GoRecipe, arch: str, target: Path) -> None:
    tools.need("go")
    if recipe.module.static_c:
        _need_c_library(recipe)
    tools.run(go_command(recipe, target), cwd=recipe.directory, env=go_environment(recipe, arch))


def go_command(recipe: lock.GoRecipe, target: Path) -> list[str]:
    """The one command; nothing of this machine gets into its output."""
    variables = [f"-X {name}={value}" for name, value in sorted(recipe.module.variables.items())]
    ldflags = " ".join(["-s", "-w", "-buildid=", *([_STATIC] if recipe.module.static_c else []), *variables])
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", ",".join(recipe.module.tags)]
    return ["go", "build", *flags, "-ldflags", ldflags, "-o", str(target), recipe.package]


def go_environment(recipe: lock.GoRecipe, arch: str) -> dict[str, str]:
    """What a user's own Go settings must not change."""
    fixed = {"GOTOOLCHAIN": recipe.toolchain, "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux", "GOARCH": arch}
    return fixed | {"CGO_ENABLED": "1" if recipe.module.static_c else "0"}


def _need_c_library(recipe: lock.GoRecipe) -> None:
    tools.need("gcc", "pkg-config")
    headers = {"/usr/include/unistd.h": "libc6-dev"}
    if "seccomp" in recipe.module.tags:
        headers["/usr/include/seccomp.h"] = "libseccomp-dev"
    tools.install(*(package for header, package in headers.items() if not Path(header).exists()))


def _compile_c(executable: lock.Executable, file: Path, target: Path) -> None:
    tools.need("gcc")
    version = f'-DVERSION="{executable.version}"'
    tools.run(["gcc", "-Os", "-Wall", "-Werror", "-static", "-s", version, "-o", str(target), str(file)])
