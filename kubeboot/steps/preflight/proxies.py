"""What services inherit: proxies that the cluster's own traffic would go through, limits, flags."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene

OURS = ("10-kubeboot-inputs.conf", "10-kubeboot-standalone.conf", "10-kubeadm.conf")
UNITS = ("containerd.service", "kubelet.service")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
ENVIRONMENT = "/etc/environment"
PROFILES = "/etc/profile.d"
ARGUMENTS = ("/etc/default/kubelet", "/etc/sysconfig/kubelet")
FILES_OPEN = 16_384
_PROXY = re.compile(r"^(?:Default)?Environment=.*\b(https?_proxy)=", re.IGNORECASE | re.MULTILINE)
_NO_PROXY = re.compile(r"^(?:Default)?Environment=.*\bno_proxy=", re.IGNORECASE | re.MULTILINE)
_PLAIN = re.compile(r"^\s*(?:export\s+)?(https?_proxy)=", re.IGNORECASE | re.MULTILINE)
_PLAIN_NO = re.compile(r"^\s*(?:export\s+)?no_proxy=", re.IGNORECASE | re.MULTILINE)
_LIMIT = re.compile(r"^DefaultLimitNOFILE=(?:\d+:)?(\d+)\s*$", re.MULTILINE)


def command(scene: Scene) -> Iterable[Finding]:
    """For this command's own requests, and for whatever is started from the same environment."""
    name = next((name for name in PROXIES if scene.environ.get(name)), "")
    spared = scene.environ.get("NO_PROXY") or scene.environ.get("no_proxy") or ""
    missing = [part for part in bypass(scene).split(",") if not _spares(spared, part)]
    ranges = f"{scene.spec.networking.pod_subnet},{scene.spec.networking.service_subnet}".split(",")
    if name and spared != "*" and any(part.strip() in missing for part in ranges):
        yield Finding(
            "ProxyBypass",
            f"{name} is set, and requests to the cluster's own addresses would go through that proxy",
            f"export NO_PROXY={spared + ',' if spared else ''}{','.join(missing)}",
        )


def _spares(spared: str, part: str) -> bool:
    """Whether NO_PROXY has this name, or a network around this one."""
    given = re.split(r"[,\s]+", spared)
    return part in given or any(_around(network, part) for network in given if "/" in network)


def _around(network: str, part: str) -> bool:
    try:
        outer, inner = (ipaddress.ip_network(text, strict=False) for text in (network, part))
    except ValueError:
        return False
    return outer.overlaps(inner) and outer.prefixlen <= inner.prefixlen


def logins(scene: Scene) -> Iterable[Finding]:
    """kubectl has it from here, at the next login."""
    names = (name for name in scene.see.listdir(PROFILES) if name.endswith(".sh"))
    texts = scene.texts((ENVIRONMENT, *(f"{PROFILES}/{name}" for name in names)))
    spared = any(map(_PLAIN_NO.search, texts.values()))
    for path in (path for path, text in texts.items() if _PLAIN.search(text) and not spared):
        yield Finding(
            "ProxyEnvironment",
            f"{path} sends everything started by hand through a proxy, kubectl included",
            f"echo NO_PROXY={bypass(scene)} >> {ENVIRONMENT}",
            "warning",
        )


def services(scene: Scene) -> Iterable[Finding]:
    """systemd's own settings are in force for containerd and the kubelet too."""
    texts = dict(configured.manager(scene))
    if not any(map(_NO_PROXY.search, texts.values())):
        for path in (path for path, text in texts.items() if _PROXY.search(text)):
            yield Finding(
                "ProxyDefault",
                f"{path} sends every service's requests through a proxy, including those to the cluster",
                f"add NO_PROXY={bypass(scene)} to DefaultEnvironment in {path}; systemctl daemon-reexec",
            )
    for path, text in texts.items():
        limit = _LIMIT.search(text)
        if limit and int(limit[1]) < FILES_OPEN:
            yield Finding(
                "OpenFiles",
                f"{path} lets a service open {limit[1]} files; etcd, API server and haproxy need thousands",
                f"sed -i '/^DefaultLimitNOFILE/d' {path}; systemctl daemon-reexec",
                "warning",
            )


def open_files(scene: Scene) -> Iterable[Finding]:
    """A container's limit is that of its process 1."""
    found = re.search(r"^Max open files +\S+ +(\d+)", scene.text("/proc/1/limits"), re.MULTILINE)
    if found and int(found[1]) < FILES_OPEN:
        yield Finding(
            "OpenFiles",
            f"process 1 and everything it starts may open {found[1]} files; etcd and haproxy need thousands",
            "raise it from outside (docker: --ulimit nofile=1048576)",
            "warning",
        )


def arguments(scene: Scene) -> Iterable[Finding]:
    """The kubelet's unit reads these files, as kubeadm's does: flags of another version end it at once."""
    for path, text in scene.texts(ARGUMENTS).items():
        given = re.search(r"^KUBELET_EXTRA_ARGS=[\"']?([^\"'\n]+)", text, re.MULTILINE)
        if given and not scene.touched:
            yield Finding(
                "KubeletExtraArgs",
                f"{path} gives the kubelet flags that are not in this cluster's description: {given[1]}",
                f"mv {path} {path}.old, and describe what is needed as node.kubeletExtraArgs",
                "warning",
            )


def drop_ins(scene: Scene) -> Iterable[Finding]:
    """What others add to our units takes effect after a restart, and is in none of our files."""
    for unit, path, text in _drop_ins(scene):
        adds = unit in UNITS and not scene.touched
        if _PROXY.search(text) and not _NO_PROXY.search(text):
            yield Finding(
                "ProxyUnit",
                f"{path} sends requests through a proxy, including the cluster's own",
                f"add NO_PROXY={bypass(scene)} to {path}",
            )
        elif adds or re.search(r"^ExecStart=", text, re.MULTILINE):
            yield Finding(
                f"DropIn-{path.rpartition('/')[2]}",
                f"{path} changes how one of kubeboot's units runs",
                f"rm {path}; systemctl daemon-reload",
                "warning",
            )


def _drop_ins(scene: Scene) -> Iterable[tuple[str, str, str]]:
    """Those of `service.d` are every service's."""
    for unit in (*UNITS, "service"):
        for path, text in configured.confs(scene, (f"{root}/{unit}.d" for root in configured.UNIT_DIRS)):
            if path.rpartition("/")[2] not in OURS:
                yield unit, path, text


def bypass(scene: Scene) -> str:
    """What must not go through a proxy."""
    networking = scene.spec.networking
    own = next(
        (a for nic in scene.facts.nics for a in nic.addresses if a.startswith(f"{scene.node.address}/")), ""
    )
    ranges = (networking.pod_subnet, networking.service_subnet, own or scene.node.address)
    return ",".join(("127.0.0.1", "localhost", *ranges, f".{networking.dns_domain}", ".svc"))


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    command, logins, services, open_files, arguments, drop_ins,
)  # fmt: skip
