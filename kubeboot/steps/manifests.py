"""API objects from a template in templates/: the part of an add-on that is fixed text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubeboot import render
from kubeboot.engine.step import Ref, Step
from kubeboot.kube.api import Object
from kubeboot.steps import basic, objects, services

Files = Sequence[tuple[str, str]]
"""A ConfigMap's data: names and texts."""


def load(template: str, **values: object) -> tuple[Object, ...]:
    """The template's documents, in its order."""
    return tuple(render.load_all(render.template(template, **values)))


def steps(
    found: Iterable[Object], room: str, after: Iterable[Ref], workload: Mapping[str, Iterable[Ref]]
) -> tuple[Step, ...]:
    """One step an object. Those in a namespace of the template wait for it; `workload` adds refs by kind."""
    listed = tuple(found)
    spaces = {obj["metadata"]["name"] for obj in listed if obj["kind"] == "Namespace"}
    made = []
    for obj in listed:
        space = obj["metadata"].get("namespace")
        own = (f"{room}/namespace-{space}",) if space in spaces else ()
        ensure = services.ensure if obj["kind"] == "Service" else objects.ensure
        made.append(ensure(obj, room, (*after, *own, *workload.get(obj["kind"], ()))))
    return tuple(made)


def inputs(files: Files) -> str:
    """A digest of a ConfigMap, for its pods' annotation: they restart when it changes."""
    return basic.digest(*(part for file in files for part in file))[:32]
