"""Fields of kubeadm's documents that need more than a row of kubeadm_fields: one function each."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from kubeboot import errors
from kubeboot.config import durations, names, phases
from kubeboot.config.kubeadm.work import Work
from kubeboot.config.problems import Path, meant
from kubeboot.config.run import Hidden
from kubeboot.pki import sealed, tokens


def volumes(work: Work, path: Path, value: object) -> None:
    """kubeadm mounts read-write unless told otherwise, kubeboot read-only."""
    if isinstance(value, tuple):
        value = tuple({"readOnly": False, **v} if isinstance(v, dict) else v for v in value)
    work.move(path, (path[0], "extraVolumes"), value)


def variables(work: Work, path: Path, value: object) -> None:
    """Variables with a plain value; `valueFrom` has nothing to refer to in a static pod."""
    for n, item in enumerate(value if isinstance(value, tuple) else ()):
        if isinstance(item, dict) and "valueFrom" in item:
            work.problem((*path, n, "valueFrom"), "is not supported", "give a `value`")
            return
    work.move(path, (path[0], "extraEnvs"), value)


def kubelet_arguments(work: Work, path: Path, value: object) -> None:
    """node-ip, node-labels and the name have a place of their own here; the others stay flags."""
    others: list[Any] = []
    for n, item in enumerate(value if isinstance(value, tuple) else ()):
        name = item.get("name") if isinstance(item, dict) else None
        text = item.get("value") if isinstance(item, dict) else None
        at: Path = (*path, n)
        if name == "node-ip" and isinstance(text, str):
            work.move((*at, "value"), ("node", "advertiseAddress"), text)
        elif name == "hostname-override" and isinstance(text, str):
            work.move((*at, "value"), ("node", "name"), text)
        elif name == "node-labels" and isinstance(text, str):
            pairs = dict(part.partition("=")[::2] for part in text.split(",") if part)
            work.move((*at, "value"), ("node", "labels"), pairs)
        else:
            others.append(item)
    if others or not isinstance(value, tuple):
        work.move(path, ("node", "kubeletExtraArgs"), tuple(others) if others else value)


def ignored(work: Work, path: Path, value: object) -> None:
    """Names of preflight findings."""
    work.keep(ignore_preflight_errors=work.texts(path, value))


def certificate_key(work: Work, path: Path, value: object) -> None:
    """The key of the uploaded certificates."""
    try:
        found = sealed.parse_key(work.text(path, value))
    except errors.UsageProblem as wrong:
        work.problem(path, wrong.message)
    else:
        work.keep(certificate_key=Hidden(found))


def control_plane(work: Work, _path: Path, _value: object) -> None:
    """That JoinConfiguration has the section says that the machine is to be one."""
    work.keep(control_plane=True)


def dry_run(work: Work, path: Path, value: object) -> None:
    """Whether anything is changed."""
    if isinstance(value, bool):
        work.keep(dry_run=value)
    else:
        work.problem(path, "must be true or false")


def skipped_phases(work: Work, path: Path, value: object) -> None:
    """kubeadm's names of phases."""
    _, wrong = phases.resolve(work.texts(path, value))
    for problem in wrong:
        work.problem(path, problem.message, problem.fix)
    work.keep(skip_phases=(*work.run.skip_phases, *work.texts(path, value)))


def without_dns(work: Work, path: Path, value: object) -> None:
    """Whether CoreDNS is left out."""
    _without(work, path, value, "dns")


def without_proxy(work: Work, path: Path, value: object) -> None:
    """Whether kube-proxy is left out."""
    _without(work, path, value, "proxy")


def _without(work: Work, path: Path, value: object, group: str) -> None:
    if not isinstance(value, bool):
        work.problem(path, "must be true or false")
    elif value:
        work.keep(skip_phases=(*work.run.skip_phases, group))


def validity(work: Work, path: Path, value: object) -> None:
    """Of certificates."""
    _days_of(work, path, value, "validityDays")


def ca_validity(work: Work, path: Path, value: object) -> None:
    """Of certificate authorities."""
    _days_of(work, path, value, "caValidityDays")


def _days_of(work: Work, path: Path, value: object, field: str) -> None:
    length = durations.parse(work.text(path, value))
    if length is None or length < datetime.timedelta(days=1):
        work.problem(path, "is not a duration of at least a day", "write it like 8760h0m0s")
        return
    if length % datetime.timedelta(days=1):
        work.warn(path, f"kubeboot counts whole days, and uses {length.days}")
    work.move(path, ("certificates", field), length.days)


def bootstrap_tokens(work: Work, path: Path, value: object) -> None:
    """The first token is init's; kubeboot makes one, and `token create` makes more."""
    entries = value if isinstance(value, tuple) else ()
    if not entries and value != ():
        work.problem(path, "must be a list")
    for n, entry in enumerate(entries):
        at: Path = (*path, n)
        if not isinstance(entry, dict):
            work.problem(at, "must be a mapping of fields")
        elif n:
            work.warn_unused(at, "init makes one token; `kubeboot token create` makes more")
        else:
            _token_entry(work, at, entry)


def _token_entry(work: Work, at: Path, entry: Mapping[str, Any]) -> None:
    known = ("token", "ttl", "description", "usages", "groups", "expires")
    for name, value in entry.items():
        path: Path = (*at, name)
        if name == "token":
            _one_token(work, path, value)
        elif name == "ttl":
            _ttl(work, path, value)
        elif name in known:
            work.warn_unused(path, "init's token is for joining, as kubeadm's default token is")
        else:
            work.problem(path, "unknown field", meant(name, known))


def _ttl(work: Work, path: Path, value: object) -> None:
    length = durations.parse(value) if isinstance(value, str) else None
    if length is None:
        work.problem(path, "is not a duration", "write it like 24h, or 0s for a token that does not expire")
    else:
        work.keep(token_ttl=length)


def _one_token(work: Work, path: Path, value: object) -> None:
    try:
        found = tokens.parse(work.text(path, value))
    except errors.UsageProblem as wrong:
        work.problem(path, wrong.message, "`kubeboot token generate` prints one")
    else:
        work.keep(token=Hidden(found.text))


def join_token(work: Work, path: Path, value: object) -> None:
    """The discovery token wins; kubeadm's tlsBootstrapToken is used when it is the only one."""
    if work.run.token is None or path[1] == "bootstrapToken":
        _one_token(work, path, value)


def join_endpoint(work: Work, path: Path, value: object) -> None:
    """HOST:PORT of an API server."""
    text = work.text(path, value)
    try:
        _, port = names.split_endpoint(text)
        if port is None:
            raise ValueError("has no port")
    except ValueError as wrong:
        work.problem(path, f"`{text}` {wrong}", "write it like 10.0.0.11:8443")
    else:
        work.keep(endpoint=text)


def join_pins(work: Work, path: Path, value: object) -> None:
    """Hashes of the CA that discovery may meet."""
    work.keep(ca_pins=work.texts(path, value))
