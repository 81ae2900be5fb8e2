"""Rules for audit, admission, CoreDNS, containerd's proxies, patches and the kubelet's own flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kubeboot.config import document, effective, names
from kubeboot.config.components import AuditLog
from kubeboot.config.model import listed
from kubeboot.config.problems import Path, Problem
from kubeboot.config.rules.components import odd
from kubeboot.config.spec import ClusterSpec

_POLICY = ("audit.k8s.io/v1", "Policy", "rules")
_ADMISSION = ("apiserver.config.k8s.io/v1", "AdmissionConfiguration", "plugins")
_AUDIT_FLAGS = (
    "audit-policy-file", "audit-log-path", "audit-log-format", "audit-log-maxage", "audit-log-maxbackup",
    "audit-log-maxsize",
)  # fmt: skip
_OWN_FLAGS: Mapping[str, str] = {
    "hostname-override": "write it as node.name",
    "node-ip": "write it as node.advertiseAddress",
    "node-labels": "write them as node.labels",
    "register-with-taints": "write them as node.taints",
    **dict.fromkeys(
        ("config", "config-dir", "kubeconfig", "bootstrap-kubeconfig", "cert-dir", "root-dir",
         "container-runtime-endpoint", "register-node", "pod-manifest-path"),
        "kubeboot gives the kubelet its files",
    ),
}  # fmt: skip


def _audit(spec: ClusterSpec) -> Iterator[Problem]:
    audit, log = spec.audit, spec.audit.log
    yield from one_of("audit", "policy", audit.policy, "policyFile", audit.policy_file)
    if audit.policy:
        yield from typed(("audit", "policy"), audit.policy, _POLICY)
    if audit.policy or audit.policy_file:
        yield from _instead(spec, "audit", _AUDIT_FLAGS)
        if log.path != effective.STDOUT and (wrong := names.absolute(log.path)):
            yield Problem(("audit", "log", "path"), f"`{log.path}` {wrong}", "or `-` for standard output")
        elif log.path != effective.STDOUT and log.path.count("/") < 3:
            yield Problem(("audit", "log", "path"), f"`{log.path}` has no directory of its own")
    elif log != AuditLog():
        yield Problem(("audit", "log"), "nothing is audited without a policy", "give audit.policy")


def _admission(spec: ClusterSpec) -> Iterator[Problem]:
    given = spec.admission
    yield from one_of("admission", "config", given.config, "configFile", given.config_file)
    if given.config:
        yield from typed(("admission", "config"), given.config, _ADMISSION)
    if given.config or given.config_file:
        yield from _instead(spec, "admission", ("admission-control-config-file",))


def _encryption(spec: ClusterSpec) -> Iterator[Problem]:
    if spec.api_server.encrypt_secrets:
        yield from _instead(spec, "apiServer.encryptSecrets", ("encryption-provider-config",))


def one_of(section: str, inline: str, data: object, field: str, path: str | None) -> Iterator[Problem]:
    """A document stands in the description or in a file."""
    if path is None:
        return
    if data:
        yield Problem((section, field), f"{section}.{inline} is given too", "keep one of them")
    if wrong := names.absolute(path):
        yield Problem((section, field), f"`{path}` {wrong}")


def typed(path: Path, data: Mapping[str, Any], head: tuple[str, str, str]) -> Iterator[Problem]:
    """A document has its apiVersion, its kind, and its list of what it is for."""
    version, kind, items = head
    yield from odd(path, data)
    for field, wanted in (("apiVersion", version), ("kind", kind)):
        if data.get(field) != wanted:
            yield Problem((*path, field), f"must be {wanted}")
    if not isinstance(data.get(items), list) or not data[items]:
        yield Problem((*path, items), "must be a list with at least one item")


def _instead(spec: ClusterSpec, section: str, flags: Iterable[str]) -> Iterator[Problem]:
    for n, argument in enumerate(spec.api_server.extra_args):
        if argument.name in flags:
            path = ("apiServer", "extraArgs", n, "name")
            yield Problem(path, f"`{argument.name}` follows from `{section}`", "keep one of them")


def _dns(spec: ClusterSpec) -> Iterator[Problem]:
    for n, server in enumerate(spec.dns.upstream):
        host, colon, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
        if names.ip(host) is None or (colon and not names.is_port(port)):
            path = ("dns", "upstream", n)
            yield Problem(path, f"`{server}` is not a name server's address", "write it like 10.0.0.53")
    depth = 0
    for character in spec.dns.extra_corefile:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            break
    if depth:
        yield Problem(("dns", "extraCorefile"), "its braces do not match")


def _containerd(spec: ClusterSpec) -> Iterator[Problem]:
    given = spec.containerd
    for field, text in (("httpProxy", given.http_proxy), ("httpsProxy", given.https_proxy)):
        if text is not None and (wrong := _proxy(text)):
            yield Problem(("containerd", field), wrong, "write it like http://proxy.example.org:3128")
    for n, entry in enumerate(given.no_proxy):
        if not entry or any(not c.isprintable() or c in " \"'\\,%" for c in entry):
            yield Problem(("containerd", "noProxy", n), f"`{entry}` is not a name, address or range")


def _proxy(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        usable = parts.hostname and parts.port != 0 and parts.scheme in ("http", "https", "socks5")
    except ValueError:
        return "is not a proxy's URL"
    if "@" in text:
        return "holds a password, and every node may read this description"
    if not usable or any(not c.isprintable() or c in " \"'\\%" for c in text):
        return f"`{text}` is not a proxy's URL"
    return None


def _patches(spec: ClusterSpec) -> Iterator[Problem]:
    directory = spec.patches.directory
    if directory is not None and (wrong := names.absolute(directory)):
        yield Problem(("patches", "directory"), f"`{directory}` {wrong}")
    for n, patch in enumerate(spec.patches.inline):
        yield from patch_text(("patches", "inline", n, "patch"), patch.type, patch.patch)


def patch_text(path: Path, kind: str, text: str) -> Iterator[Problem]:
    """What is wrong with a patch, whatever it is for."""
    documents, problems = document.parse(text.encode("utf-8", "surrogatepass"), "the patch")
    for problem in (*problems, *(p for d in documents for p in d.problems)):
        yield Problem(path, problem.message, problem.fix)
    if not documents and not problems:
        yield Problem(path, "is empty")
    wanted, words = (tuple, "a list of operations") if kind == "json" else (dict, "a mapping")
    for found in documents:
        if not isinstance(found.data, wanted) and found.data is not document.BROKEN:
            yield Problem(path, f"a {kind} patch is {words}")
        yield from (
            Problem(path, p.message, p.fix) for p in odd((), listed(found.data)) if "date" in p.message
        )


def _kubelet_flags(spec: ClusterSpec) -> Iterator[Problem]:
    for n, argument in enumerate(spec.node.kubelet_extra_args):
        path: Path = ("node", "kubeletExtraArgs", n)
        if why := _OWN_FLAGS.get(argument.name):
            yield Problem((*path, "name"), f"`{argument.name}` cannot be given here", why)
        if any(c.isspace() or not c.isprintable() or c in "\"'\\$%" for c in argument.value):
            yield Problem((*path, "value"), "holds a character that the kubelet's unit cannot pass on")


EXTRA_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (
    _audit,
    _encryption,
    _admission,
    _dns,
    _containerd,
    _patches,
    _kubelet_flags,
)
