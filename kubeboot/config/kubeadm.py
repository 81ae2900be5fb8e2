"""kubeadm's own documents (v1beta4) as input: what means the same is taken, what has no meaning is named."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from kubeboot import errors
from kubeboot.config import durations, kubeadm_fields, layers, names, phases
from kubeboot.config.document import Document
from kubeboot.config.kubeadm_fields import Action, Call, Move, Note, Refuse, Table
from kubeboot.config.layers import Layer
from kubeboot.config.problems import Origin, Path, Problem, dotted, meant, nearest
from kubeboot.config.run import Hidden, RunSettings
from kubeboot.pki import sealed, tokens

API_VERSION = "kubeadm.k8s.io/v1beta4"
_KUBELET = "kubelet.config.k8s.io/v1beta1"
_PROXY = "kubeproxy.config.k8s.io/v1alpha1"

KINDS: Mapping[tuple[str, str], Table] = {
    (API_VERSION, "InitConfiguration"): kubeadm_fields.INIT,
    (API_VERSION, "ClusterConfiguration"): kubeadm_fields.CLUSTER,
    (API_VERSION, "JoinConfiguration"): kubeadm_fields.JOIN,
    (_KUBELET, "KubeletConfiguration"): kubeadm_fields.KUBELET,
    (_PROXY, "KubeProxyConfiguration"): kubeadm_fields.PROXY,
}


@dataclasses.dataclass(frozen=True)
class Translated:
    """What one document of kubeadm's says in kubeboot's words."""

    layer: Layer
    run: RunSettings
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]


def translate(doc: Document, kind: str) -> Translated:
    """The document in kubeboot's words. Nothing is dropped without a word."""
    work = _Work(doc, kind, KINDS[(doc.data["apiVersion"], kind)])
    for field, value in doc.data.items():
        if field not in ("apiVersion", "kind"):
            work.visit((field,), value)
    return Translated(work.layer, work.run, tuple(work.warnings), tuple(work.problems))


class _Work:
    """One translation; the methods named in kubeadm_fields are the fields that need more than a table."""

    def __init__(self, doc: Document, kind: str, table: Table) -> None:
        self._doc = doc
        self._kind = kind
        self._table = table
        self.layer = Layer()
        self.run = RunSettings()
        self.warnings: list[str] = []
        self.problems: list[Problem] = []

    def visit(self, path: Path, value: object) -> None:
        """Do what the table says of a field, or go into it, or say that it is unknown."""
        field = dotted(path)
        action = self._table.get(field)
        if value is None or (value == "" and self._kind in kubeadm_fields.OPEN):
            return
        if action is not None:
            self._act(action, path, value)
        elif any(known.startswith(f"{field}.") for known in self._table):
            self._enter(path, value)
        elif self._kind in kubeadm_fields.OPEN:
            self._move(path, (kubeadm_fields.OPEN[self._kind], *path), _said(value))
        else:
            self._problem(path, "unknown field", self._siblings(path))

    def _enter(self, path: Path, value: object) -> None:
        if not isinstance(value, dict):
            self._problem(path, "must be a mapping of fields")
            return
        for name, inner in value.items():
            self.visit((*path, name), inner)

    def _siblings(self, path: Path) -> str | None:
        depth = len(path) - 1
        start = path[:depth]
        known = {
            parts[depth]
            for parts in (tuple(field.split(".")) for field in self._table)
            if len(parts) > depth and parts[:depth] == start
        }
        return meant(str(path[-1]), sorted(known))

    def _act(self, action: Action, path: Path, value: object) -> None:
        match action:
            case Move(to):
                self._move(path, to, value)
            case Note(why, same):
                if value not in same:
                    self._note(path, why)
            case Refuse(why, same):
                if value not in same:
                    self._problem(path, why)
            case Call(function):
                getattr(self, f"take_{function}")(path, value)

    def _move(self, path: Path, to: Path, value: object) -> None:
        data: Any = value
        for part in reversed(to):
            data = {part: data}
        moved = {
            (*to, *old[len(path) :]): dataclasses.replace(origin, field=dotted(old))
            for old, origin in self._doc.origins.items()
            if old[: len(path)] == path
        }
        self.layer = layers.over(self.layer, Layer(data, moved))

    def _origin(self, path: Path) -> Origin:
        origin = nearest(path, self._doc.origins) or Origin(self._doc.source, self._doc.line)
        return dataclasses.replace(origin, field=dotted(path))

    def _note(self, path: Path, why: str) -> None:
        self.warnings.append(f"{self._origin(path)}: {dotted(path)} has no effect: {why}")

    def _problem(self, path: Path, message: str, fix: str | None = None) -> None:
        self.problems.append(Problem(path, message, fix, self._origin(path)))

    def _texts(self, path: Path, value: Any) -> tuple[str, ...]:  # noqa: ANN401
        if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            return value
        self._problem(path, "must be a list of texts")
        return ()

    def _text(self, path: Path, value: object) -> str:
        if isinstance(value, str):
            return value
        self._problem(path, "must be text", "quote it")
        return ""

    def _keep(self, **settings: Any) -> None:  # noqa: ANN401
        self.run = dataclasses.replace(self.run, **settings)

    def take_volumes(self, path: Path, value: object) -> None:
        """kubeadm mounts read-write unless told otherwise, kubeboot read-only."""
        if isinstance(value, tuple):
            value = tuple({"readOnly": False, **v} if isinstance(v, dict) else v for v in value)
        self._move(path, (path[0], "extraVolumes"), value)

    def take_variables(self, path: Path, value: object) -> None:
        """Variables with a plain value; `valueFrom` has nothing to refer to in a static pod."""
        for n, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, dict) and "valueFrom" in item:
                self._problem((*path, n, "valueFrom"), "is not supported", "give a `value`")
                return
        self._move(path, (path[0], "extraEnvs"), value)

    def take_kubelet_arguments(self, path: Path, value: object) -> None:
        """node-ip, node-labels and the name have a place of their own here; the others stay flags."""
        others: list[Any] = []
        for n, item in enumerate(value if isinstance(value, tuple) else ()):
            name = item.get("name") if isinstance(item, dict) else None
            text = item.get("value") if isinstance(item, dict) else None
            at: Path = (*path, n)
            if name == "node-ip" and isinstance(text, str):
                self._move((*at, "value"), ("node", "advertiseAddress"), text)
            elif name == "hostname-override" and isinstance(text, str):
                self._move((*at, "value"), ("node", "name"), text)
            elif name == "node-labels" and isinstance(text, str):
                pairs = dict(part.partition("=")[::2] for part in text.split(",") if part)
                self._move((*at, "value"), ("node", "labels"), pairs)
            else:
                others.append(item)
        if others or not isinstance(value, tuple):
            self._move(path, ("node", "kubeletExtraArgs"), tuple(others) if others else value)

    def take_ignored(self, path: Path, value: object) -> None:
        self._keep(ignore_preflight_errors=self._texts(path, value))

    def take_certificate_key(self, path: Path, value: object) -> None:
        try:
            found = sealed.parse_key(self._text(path, value))
        except errors.UsageProblem as wrong:
            self._problem(path, wrong.message)
        else:
            self._keep(certificate_key=Hidden(found))

    def take_control_plane(self, path: Path, value: object) -> None:
        self._keep(control_plane=True)
        self._table = {**self._table, **kubeadm_fields.CONTROL_PLANE}
        self._enter(path, value)

    def take_dry_run(self, path: Path, value: object) -> None:
        if isinstance(value, bool):
            self._keep(dry_run=value)
        else:
            self._problem(path, "must be true or false")

    def take_phases(self, path: Path, value: object) -> None:
        _, wrong = phases.resolve(self._texts(path, value))
        for problem in wrong:
            self._problem(path, problem.message, problem.fix)
        self._keep(skip_phases=(*self.run.skip_phases, *self._texts(path, value)))

    def take_without_dns(self, path: Path, value: object) -> None:
        self._without(path, value, "dns")

    def take_without_proxy(self, path: Path, value: object) -> None:
        self._without(path, value, "proxy")

    def _without(self, path: Path, value: object, group: str) -> None:
        if not isinstance(value, bool):
            self._problem(path, "must be true or false")
        elif value:
            self._keep(skip_phases=(*self.run.skip_phases, group))

    def take_validity(self, path: Path, value: object) -> None:
        self._days(path, value, "validityDays")

    def take_ca_validity(self, path: Path, value: object) -> None:
        self._days(path, value, "caValidityDays")

    def _days(self, path: Path, value: object, field: str) -> None:
        length = durations.parse(self._text(path, value))
        if length is None or length < datetime.timedelta(days=1):
            self._problem(path, "is not a duration of at least a day", "write it like 8760h0m0s")
            return
        if length % datetime.timedelta(days=1):
            self.warnings.append(
                f"{self._origin(path)}: {dotted(path)}: kubeboot counts whole days, and takes {length.days}"
            )
        self._move(path, ("certificates", field), length.days)

    def take_tokens(self, path: Path, value: object) -> None:
        """The first token is init's; kubeboot makes one, and `token create` makes more."""
        entries = value if isinstance(value, tuple) else ()
        if not entries and value != ():
            self._problem(path, "must be a list")
        for n, entry in enumerate(entries):
            at: Path = (*path, n)
            if not isinstance(entry, dict):
                self._problem(at, "must be a mapping of fields")
            elif n:
                self._note(at, "init makes one token; `kubeboot token create` makes more")
            else:
                self._token_entry(at, entry)

    def _token_entry(self, at: Path, entry: Mapping[str, Any]) -> None:
        known = ("token", "ttl", "description", "usages", "groups", "expires")
        for name, value in entry.items():
            path: Path = (*at, name)
            if name == "token":
                self._token(path, value)
            elif name == "ttl":
                self._ttl(path, value)
            elif name in known:
                self._note(path, "init's token is for joining, as kubeadm's default token is")
            else:
                self._problem(path, "unknown field", meant(name, known))

    def _ttl(self, path: Path, value: object) -> None:
        length = durations.parse(value) if isinstance(value, str) else None
        if length is None:
            self._problem(
                path, "is not a duration", "write it like 24h, or 0s for a token that does not expire"
            )
        else:
            self._keep(token_ttl=length)

    def _token(self, path: Path, value: object) -> None:
        try:
            found = tokens.parse(self._text(path, value))
        except errors.UsageProblem as wrong:
            self._problem(path, wrong.message, "`kubeboot token generate` prints one")
        else:
            self._keep(token=Hidden(found.text))

    def take_join_token(self, path: Path, value: object) -> None:
        """The discovery token wins; kubeadm's tlsBootstrapToken is used when it is the only one."""
        if self.run.token is None or path[1] == "bootstrapToken":
            self._token(path, value)

    def take_join_endpoint(self, path: Path, value: object) -> None:
        text = self._text(path, value)
        try:
            _, port = names.split_endpoint(text)
            if port is None:
                raise ValueError("has no port")
        except ValueError as wrong:
            self._problem(path, f"`{text}` {wrong}", "write it like 10.0.0.11:8443")
        else:
            self._keep(endpoint=text)

    def take_join_pins(self, path: Path, value: object) -> None:
        self._keep(ca_pins=self._texts(path, value))


def _said(value: object) -> object:
    """Less what is empty: in kubeadm's printed defaults that means that nothing was said."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner is not None and inner != ""}
    return tuple(_said(inner) for inner in value) if isinstance(value, tuple) else value
