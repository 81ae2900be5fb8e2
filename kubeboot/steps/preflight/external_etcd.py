"""An etcd that runs elsewhere: its files are fit, its members answer, and the data are nobody else's."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from kubeboot.config import versions
from kubeboot.config.components import ExternalEtcd
from kubeboot.config.spec import ClusterSpec
from kubeboot.kube import etcd_probe
from kubeboot.kube.etcd_client import Identity
from kubeboot.kube.etcd_probe import Seen
from kubeboot.pki import inspect, table
from kubeboot.steps import static_pod
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.preflight.model import Finding, Scene

OLDEST = (3, 5, 24)
"""kubeadm's own minimum."""
_ACCESS = "put etcd's client certificate there, or give `--external-etcd FILE` of `kubeboot etcd export`"


def placement(scene: Scene) -> Iterable[Finding]:
    """A cluster's data do not follow its description."""
    if not scene.touched or scene.see.stat(f"{static_pod.MANIFESTS}/kube-apiserver.yaml") is None:
        return
    is_external, to_be = external_etcd.found(scene.see) is not None, scene.spec.etcd.external is not None
    if is_external != to_be:
        now, then = ("elsewhere", "here") if is_external else ("here", "elsewhere")
        yield Finding(
            "EtcdPlacement",
            f"this cluster's data is in an etcd {now}, and not in one {then}, as is asked for",
            "give the same etcd.external (or --external-etcd) as before"
            if is_external
            else "leave out etcd.external; to move the data, take a snapshot and restore it there",
        )


def _external(scene: Scene) -> ExternalEtcd | None:
    """Nobody but a control plane talks to it."""
    return scene.spec.etcd.external if scene.node.role == "control_plane" else None


def credentials(scene: Scene) -> Iterable[Finding]:
    external = _external(scene)
    if external is None:
        return
    missing = [path for path in external_etcd.files(external).values() if not scene.file(path)]
    for path in missing:
        yield Finding(f"ExternalEtcdFile-{_dashed(path)}", f"{path} is not there, or empty", _ACCESS)
    if not missing:
        yield from _pair(scene, external)


def _pair(scene: Scene, external: ExternalEtcd) -> Iterable[Finding]:
    certificate, key = scene.file(external.cert_file) or b"", scene.file(external.key_file) or b""
    wrong = inspect.client_problems(certificate, key, at=datetime.datetime.now(datetime.UTC))
    for path, said in (
        (external.cert_file, wrong),
        (external.ca_file, inspect.trust_problems(scene.file(external.ca_file) or b"")),
    ):
        if said:
            yield Finding(f"ExternalEtcdCertificate-{_dashed(path)}", f"{path} {' and '.join(said)}", _ACCESS)


def members(scene: Scene) -> Iterable[Finding]:
    """One that is down is no reason to refuse while most of them answer."""
    who = _identity(scene)
    if who is None:
        return
    seen = _look(scene, who)
    down = [one for one in seen if one.problem]
    for one in down:
        yield Finding(
            f"ExternalEtcd-{_host(one)}",
            f"etcd at {one.server}: {one.problem}",
            "is it etcd's client URL, open from here, and signed by etcd.external.caFile?",
            "warning" if len(down) * 2 < len(seen) else "error",
        )
    for one in seen:
        version = versions.parse(one.version)
        if version is not None and (version.major, version.minor, version.patch) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            yield Finding(
                "ExternalEtcdVersion",
                f"etcd at {one.server} is {one.version}; Kubernetes needs {oldest} at least",
                "upgrade etcd first, one member at a time",
            )
    clusters = {one.cluster: one.server for one in seen if one.cluster}
    if len(clusters) > 1:
        yield Finding(
            "ExternalEtcdCluster",
            f"these are members of {len(clusters)} etcds: {', '.join(clusters.values())}",
            "name the members of one etcd in etcd.external.endpoints",
        )


def data(scene: Scene) -> Iterable[Finding]:
    """Empty, or this very cluster's: two clusters in one place would destroy each other."""
    who = None if scene.cluster else _identity(scene)
    if who is None:
        return
    found = next((c for server in servers(scene.spec) if (c := _content(scene, who, server)).known), None)
    own = base64.b64encode(scene.file(f"{table.DIRECTORY}/ca.crt") or b"-")
    ours = scene.touched and external_etcd.found(scene.see) is not None
    if found is None:
        yield Finding(
            "ExternalEtcdUnseen",
            "etcd does not say what it holds, so another cluster's data cannot be ruled out",
            "look yourself: etcdctl get /registry --prefix --keys-only --limit 3",
            "warning",
        )
    elif not found.empty and (found.authority != own if found.authority else not ours):
        yield Finding(
            "ExternalEtcdData",
            f"etcd holds another cluster's data below {prefix(scene.spec)}",
            "give this cluster an etcd of its own; if nobody needs the data: etcdctl del --prefix /registry/",
        )


def servers(spec: ClusterSpec) -> tuple[str, ...]:
    """Where etcd takes HTTP requests."""
    external = spec.etcd.external
    return (external.http_endpoints or external.endpoints) if external else ()


def prefix(spec: ClusterSpec) -> str:
    """Below which key API servers write."""
    given = [a.value for a in spec.api_server.extra_args if a.name == "etcd-prefix"]
    return f"/{(given or ['registry'])[-1].strip('/')}/"


def _identity(scene: Scene) -> Identity | None:
    """None where there is no etcd elsewhere, or `credentials` has something to say."""
    external = _external(scene)
    if external is None or any(True for _ in credentials(scene)):
        return None
    ca, certificate, key = (scene.file(path) or b"" for path in external_etcd.files(external).values())
    return Identity(ca, certificate, key)


def _look(scene: Scene, who: Identity) -> Sequence[Seen]:
    with ThreadPoolExecutor(8, thread_name_prefix="etcd") as pool:
        return tuple(
            pool.map(lambda server: etcd_probe.look(who, server, scene.see.dial), servers(scene.spec))
        )


def _content(scene: Scene, who: Identity, server: str) -> etcd_probe.Content:
    return etcd_probe.content(who, server, prefix(scene.spec), scene.see.dial)


def _host(seen: Seen) -> str:
    return seen.server.removeprefix("https://").removeprefix("http://")


def _dashed(path: str) -> str:
    return path.strip("/").replace("/", "-")


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (placement, credentials, members, data)
