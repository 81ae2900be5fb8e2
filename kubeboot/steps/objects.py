"""One API object, as server-side apply leaves it: the step that most of a cluster is made of."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubeboot import render
from kubeboot.engine.step import CLUSTER, Check, Drift, Later, Ok, Ref, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiUnavailable, Object

API_SERVER = Later("the API server")

LOOKS = 5
_ABSENT = object()
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureObject(Step):
    """An API object has the fields of `obj`; what others own in it is left alone."""

    obj: Object = dataclasses.field(repr=False)
    secret: bool = False

    def wanted(self, vals: Values) -> Object | None:
        """The object; None while a value that it is made of is not known yet."""
        return self.obj

    def check(self, see: View, vals: Values) -> Check:
        obj = self.wanted(vals)
        if obj is None:
            return Later(", ".join(sorted(key.name for key in self.needs if vals.get(key) is None)))
        return answered(see, lambda: self._compare(see, obj))

    def _compare(self, see: View, obj: Object) -> Check:
        """Two questions are not one: what was written in between is no drift, so it is looked again."""
        for left in reversed(range(LOOKS)):
            live = see.api.get(*address(obj))
            if live is None:
                return Drift(f"create {label(obj)}", "create", self._diff({}, obj))
            then = see.api.dry_run(obj)
            has, wants = comparable(live, obj), comparable(then, obj)
            if has == wants:
                return Ok()
            if not left or _version(live) == _version(then):
                break
        where = ", ".join(differences(has, wants))
        return Drift(f"change {label(obj)}: {where}", "change", self._diff(has, wants))

    def _diff(self, has: Object, wants: Object) -> str | None:
        return None if self.secret or wants.get("kind") == "Secret" else unified(has, wants)

    def apply(self, do: Target, vals: Values) -> None:
        obj = self.wanted(vals)
        if obj is None:
            raise KeyError(f"{self.id} was applied without its values")
        do.api.apply(obj)


def answered(see: View, look: Callable[[], Check]) -> Check:
    """What comes of a look at the API; Later while the API server is not ready."""
    try:
        return look()
    except ApiUnavailable:
        if see.api.ready() is None:
            raise
        return API_SERVER


def ensure(
    obj: Object, room: str = "cluster", after: Iterable[Ref] = (), step: type[EnsureObject] = EnsureObject
) -> EnsureObject:
    """The step `<room>/<kind>-<name>` for an object, once for the whole cluster."""
    kind, name = str(obj["kind"]).lower(), obj["metadata"]["name"]
    return step(
        id=f"{room}/{kind}-{name}", title=f"Apply {label(obj)}", on=CLUSTER, after=frozenset(after), obj=obj
    )


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def address(obj: Object) -> tuple[str, str, str, str | None]:
    """(apiVersion, kind, name, namespace), as ApiView.get takes them."""
    meta = obj["metadata"]
    return obj["apiVersion"], obj["kind"], meta["name"], meta.get("namespace")


def label(obj: Object) -> str:
    """How people name it: `ConfigMap kube-system/kubeadm-config`."""
    _, kind, name, namespace = address(obj)
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def comparable(found: Object, wanted: Object) -> dict[str, Any]:
    """What tells whether an object is as wanted: no bookkeeping, no status unless it was asked for."""
    out = dict(found)
    if "status" not in wanted:
        out.pop("status", None)
    meta = out.get("metadata") or {}
    out["metadata"] = {name: value for name, value in meta.items() if name not in _BOOKKEEPING}
    return out


def differences(has: Mapping[str, Any], wants: Mapping[str, Any], depth: int = 2) -> tuple[str, ...]:
    """The dotted names of the fields that differ, two levels deep."""
    return tuple(sorted(set(_differences(has, wants, "", depth))))


def _differences(has: Mapping[str, Any], wants: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    for name in {*has, *wants}:
        old, new = has.get(name, _ABSENT), wants.get(name, _ABSENT)
        if old == new:
            continue
        if depth > 1 and isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{path}{name}.", depth - 1)
        else:
            yield path + name


def unified(has: Object, wants: Object) -> str:
    """A unified diff of both as YAML."""
    old, new = (render.dump(obj).splitlines(keepends=True) if obj else [] for obj in (has, wants))
    return "".join(difflib.unified_diff(old, new, "live" if has else "/dev/null", "wanted"))
