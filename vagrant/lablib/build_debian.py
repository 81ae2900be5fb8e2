"""A directory of unpacked Debian packages: what image layers take their files from.

Nothing is installed and root is not needed: apt works in a directory of its own, checks Debian's signatures
and resolves the dependencies; the packages are unpacked into a merged /usr.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from kubeboot import errors
from lablib import debian_mirror, lock, tools

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VERSIONS = "versions"
ROOT = "root"
_MERGED = ("bin", "sbin", "lib", "lib64")

_APT_CONF = """\
Dir::State "{home}/state";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "false";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def unpack(debian: lock.Debian, arch: str, target: Path) -> None:
    """Fetch the packages and all that they depend on; `target` gets root/ and versions."""
    tools.need("apt-get", "dpkg-deb")
    home = target / "apt"
    _configure(debian, arch, home)
    env = {"APT_CONFIG": str(home / "apt.conf")}
    tools.run(["apt-get", "-q", "update"], env=env)
    tools.run(["apt-get", "-q", "-y", "--download-only", "install", *debian.packages], env=env)
    packages = sorted((home / "cache/archives").glob("*.deb"))
    _unpack_all(packages, target / ROOT)
    versions = [tools.run(["dpkg-deb", "--show", str(package)]) for package in packages]
    (target / VERSIONS).write_text("".join(versions))
    for package in packages:
        package.unlink()


def version(made: Path, package: str) -> str:
    """The upstream part of an unpacked package's version ("2.6.12" of "2.6.12-1+deb12u4")."""
    for line in (made / VERSIONS).read_text().splitlines():
        name, _, found = line.partition("\t")
        if name == package:
            return found.rpartition(":")[2].partition("-")[0]
    raise errors.KubebootError(f"the package {package} was not unpacked")


def _configure(debian: lock.Debian, arch: str, home: Path) -> None:
    if not Path(KEYRING).exists():
        tools.install("debian-archive-keyring")
    for each in ("state/lists/partial", "cache/archives/partial"):
        (home / each).mkdir(parents=True)
    mirror = debian_mirror.archive(debian.suites[0])
    sources = [(mirror, suite) for suite in debian.suites]
    sources.append((debian_mirror.security(debian.security), debian.security))
    lines = [f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for mirror, suite in sources]
    (home / "sources.list").write_text("".join(lines))
    (home / "status").write_text("")
    (home / "apt.conf").write_text(_APT_CONF.format(home=home, arch=arch))


def _unpack_all(packages: list[Path], root: Path) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        archive = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, check=True
        )
        subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)],
            input=archive.stdout,
            check=True,
        )
