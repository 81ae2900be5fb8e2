"""Where a user's own playbooks run in a fleet's plans, as steps of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.events import Emit
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Ref, Step
from kubeboot.fleet import playbooks
from kubeboot.fleet.playbooks import Part
from kubeboot.fleet.reach import Reached
from kubeboot.inventory import ansible
from kubeboot.inventory.model import Inventory
from kubeboot.steps.hooks import ClusterHook, MachineHook, mark


@dataclasses.dataclass(frozen=True)
class Hooks:
    """The playbooks by their place, and how they are run."""

    inventory: Inventory
    emit: Emit
    books: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    timeout_scale: float = 1.0

    def around(
        self, plan: Plan, who: Reached, on: str, before: tuple[str, ...] = (), after: tuple[str, ...] = ()
    ) -> Plan:
        """The plan with what comes before everything in it, and after all of it."""
        first = tuple(self._chain(before, who, on, frozenset()))
        refs = frozenset(_ref(step) for step in first)
        steps = tuple(dataclasses.replace(step, after=step.after | refs) for step in plan.steps)
        last = tuple(self._chain(after, who, on, frozenset(_ref(step) for step in steps)))
        roles = {on: "", **plan.roles}
        return dataclasses.replace(plan, steps=(*first, *steps, *last), roles=roles) if plan.steps else plan

    def _chain(self, places: Iterable[str], who: Reached, on: str, after: frozenset[Ref]) -> Iterator[Step]:
        """One after the other."""
        for place in (place for place in places if place in self.books):
            step = self._step(place, who, on, after)
            yield step
            after = frozenset({_ref(step)})

    def _step(self, place: str, who: Reached, on: str, after: frozenset[Ref]) -> Step:
        book, name = self.books[place], f"hook/{place}"
        digest = hashlib.sha256(book.read_bytes()).hexdigest()
        part = Part(self.inventory, who, book, on, name, self.timeout_scale)
        run = functools.partial(playbooks.play, part, self.emit)
        title = f"Run {book.name} ({place})"
        if place == "after_init":
            return ClusterHook(
                id=name,
                title=title,
                on=CLUSTER,
                after=after,
                obj=mark(place, digest),
                playbook=book.name,
                place=place,
                play=run,
            )
        return MachineHook(
            id=name,
            title=title,
            on=on,
            after=after,
            digest=digest,
            playbook=book.name,
            place=place,
            play=run,
        )


def find(
    spec: ClusterSpec,
    inventory: Inventory,
    emit: Emit,
    timeout_scale: float = 1.0,
    places: tuple[str, ...] = (),
) -> Hooks:
    """The playbooks that the description names for these places (all); ConfigInvalid when one cannot run."""
    said = spec.hooks.model_dump()
    named = {place: text for place, text in said.items() if text and place in (places or said)}
    if named:
        ansible.require("what `hooks` names", "remove `hooks` from the description")
    books = {place: _file(place, text, inventory) for place, text in named.items()}
    return Hooks(inventory, emit, books, timeout_scale)


def _file(place: str, text: str, inventory: Inventory) -> Path:
    """From where the command is run, else beside the inventory."""
    path = Path(text).expanduser()
    found = next((p for p in (path, Path(inventory.source).parent / path) if p.is_file()), None)
    if found is None:
        raise errors.ConfigInvalid(
            f"hooks.{place}: no such playbook: {text}",
            hint="name a file relative to the current directory or to the inventory",
            reason="KB_HOOK",
        )
    return found.absolute()


def _ref(step: Step) -> Ref:
    return f"{step.on}:{step.id}"
