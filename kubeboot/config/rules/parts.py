"""Rules for the components' own sections: arguments, volumes, variables, names in certificates, artifacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubeboot.config import names
from kubeboot.config.components import Component, HostPathMount
from kubeboot.config.problems import Path, Problem, meant
from kubeboot.config.spec import ClusterSpec

PATH_TYPES = (
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
)  # fmt: skip
OWN_VOLUMES = ("k8s-certs", "ca-certs", "kubeconfig", "etcd-data", "etcd-certs")
_FORBIDDEN_DATA = (
    "/", "/boot", "/dev", "/etc", "/etc/kubernetes", "/home", "/proc", "/root", "/run", "/sys",
    "/tmp", "/usr", "/var", "/var/lib", "/var/lib/kubelet",  # noqa: S108 - refused, not used
)  # fmt: skip


_OWN_DIRECTORY = "give etcd a directory of its own"


def _components(spec: ClusterSpec) -> tuple[tuple[str, Component], ...]:
    return (
        ("apiServer", spec.api_server),
        ("controllerManager", spec.controller_manager),
        ("scheduler", spec.scheduler),
        ("etcd", spec.etcd),
    )


def _volumes(spec: ClusterSpec) -> Iterator[Problem]:
    for section, component in _components(spec):
        for n, volume in enumerate(component.extra_volumes):
            yield from _volume((section, "extraVolumes", n), volume)
        volumes, path = component.extra_volumes, (section, "extraVolumes")
        yield from _repeated(path, "name", [v.name for v in volumes])
        yield from _repeated(path, "mountPath", [v.mount_path for v in volumes])


def _volume(path: Path, volume: HostPathMount) -> Iterator[Problem]:
    if wrong := names.label(volume.name):
        yield Problem((*path, "name"), f"`{volume.name}` {wrong}")
    elif volume.name in OWN_VOLUMES:
        yield Problem((*path, "name"), f"`{volume.name}` is kubeboot's own volume", "choose another name")
    for field, text in (("hostPath", volume.host_path), ("mountPath", volume.mount_path)):
        if wrong := names.absolute(text):
            yield Problem((*path, field), f"`{text}` {wrong}")
    if ":" in volume.mount_path:
        yield Problem((*path, "mountPath"), f"`{volume.mount_path}` holds a `:`, which Kubernetes refuses")
    if volume.path_type not in PATH_TYPES:
        known = ", ".join(t for t in PATH_TYPES if t)
        fix = meant(volume.path_type, PATH_TYPES[1:])
        yield Problem((*path, "pathType"), f"`{volume.path_type}` is not one of {known}", fix)


def _repeated(path: Path, field: str, values: Sequence[str]) -> Iterator[Problem]:
    for value, count in Counter(values).items():
        if count > 1:
            last = len(values) - 1 - list(reversed(values)).index(value)
            yield Problem((*path, last, field), f"`{value}` is given {count} times", "keep one of them")


def _variables(spec: ClusterSpec) -> Iterator[Problem]:
    for section, component in _components(spec):
        for n, variable in enumerate(component.extra_envs):
            if wrong := names.variable(variable.name):
                yield Problem((section, "extraEnvs", n, "name"), f"`{variable.name}` {wrong}")
        yield from _repeated((section, "extraEnvs"), "name", [v.name for v in component.extra_envs])


def _unprintable(spec: ClusterSpec) -> Iterator[Problem]:
    """A NUL or a line break in a manifest's argument would become another argument, or a broken file."""
    for section, component in _components(spec):
        for n, argument in enumerate(component.extra_args):
            if "\0" in argument.value or "\n" in argument.value:
                yield Problem((section, "extraArgs", n, "value"), "holds a line break or a NUL character")
        for n, variable in enumerate(component.extra_envs):
            if "\0" in variable.value:
                yield Problem((section, "extraEnvs", n, "value"), "holds a NUL character")


def _sans(spec: ClusterSpec) -> Iterator[Problem]:
    lists = (
        (("apiServer", "certSANs"), spec.api_server.cert_sans),
        (("etcd", "serverCertSANs"), spec.etcd.server_cert_sans),
        (("etcd", "peerCertSANs"), spec.etcd.peer_cert_sans),
    )
    for path, sans in lists:
        for n, text in enumerate(sans):
            if wrong := names.san(text):
                yield Problem((*path, n), f"`{text}` {wrong}")


def _etcd_data(spec: ClusterSpec) -> Iterator[Problem]:
    path, directory = ("etcd", "dataDir"), spec.etcd.data_dir
    if wrong := names.absolute(directory):
        yield Problem(path, f"`{directory}` {wrong}")
    elif (directory.rstrip("/") or "/") in _FORBIDDEN_DATA:
        yield Problem(path, f"`{directory}` is used by others", _OWN_DIRECTORY)
    elif directory.startswith(("/etc/kubernetes/", "/proc/", "/sys/", "/dev/", "/run/")):
        yield Problem(path, f"`{directory}` is not a place for data that must stay", _OWN_DIRECTORY)


def _artifacts(spec: ClusterSpec) -> Iterator[Problem]:
    artifacts = spec.artifacts
    if artifacts.bundle is not None and artifacts.directory is not None:
        path, other = ("artifacts", "directory"), ("artifacts", "bundle")
        yield Problem(path, "a bundle and a directory do not go together", "keep one of them", or_at=(other,))
    for field, text in (("bundle", artifacts.bundle), ("directory", artifacts.directory)):
        if text is not None and (wrong := names.absolute(text)):
            yield Problem(("artifacts", field), f"`{text}` {wrong}")
    wrong, fix = names.repository(artifacts.image_repository)
    if wrong:
        yield Problem(("artifacts", "imageRepository"), f"`{artifacts.image_repository}` {wrong}", fix)


PART_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (
    _volumes,
    _variables,
    _unprintable,
    _sans,
    _etcd_data,
    _artifacts,
)
