"""What one document of kubeadm's has been found to say, in kubeboot's words, while it is read."""

from __future__ import annotations

import dataclasses
from typing import Any

from kubeboot.config import layers
from kubeboot.config.document import Document
from kubeboot.config.layers import Layer
from kubeboot.config.problems import Origin, Path, Problem, dotted, nearest
from kubeboot.config.run import RunSettings


class Work:
    """One translation: the description, the run's settings, warnings and problems, each with its origin."""

    def __init__(self, doc: Document) -> None:
        self._doc = doc
        self.layer = Layer()
        self.run = RunSettings()
        self.warnings: list[str] = []
        self.problems: list[Problem] = []

    def move(self, path: Path, to: Path, value: object) -> None:
        """The value stands at `to` in the description, and errors in it name where it was said."""
        data: Any = value
        for part in reversed(to):
            data = {part: data}
        moved = {
            (*to, *old[len(path) :]): dataclasses.replace(origin, field=dotted(old))
            for old, origin in self._doc.origins.items()
            if old[: len(path)] == path
        }
        self.layer = layers.over(self.layer, Layer(data, moved))

    def keep(self, **settings: Any) -> None:  # noqa: ANN401
        """These settings of the run were said."""
        self.run = dataclasses.replace(self.run, **settings)

    def warn(self, path: Path, words: str) -> None:
        """The field is taken, and not quite as it was meant."""
        self.warnings.append(f"{self._origin(path)}: {dotted(path)}: {words}")

    def warn_unused(self, path: Path, why: str) -> None:
        """The field is not taken."""
        self.warnings.append(f"{self._origin(path)}: {dotted(path)} has no effect: {why}")

    def problem(self, path: Path, message: str, fix: str | None = None) -> None:
        """The document is refused."""
        self.problems.append(Problem(path, message, fix, self._origin(path)))

    def texts(self, path: Path, value: Any) -> tuple[str, ...]:  # noqa: ANN401
        """The value, if it is a list of texts; else a problem, and none."""
        if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            return value
        self.problem(path, "must be a list of texts")
        return ()

    def text(self, path: Path, value: object) -> str:
        """The value, if it is text; else a problem, and none."""
        if isinstance(value, str):
            return value
        self.problem(path, "must be text", "quote it")
        return ""

    def _origin(self, path: Path) -> Origin:
        origin = nearest(path, self._doc.origins) or Origin(self._doc.source, self._doc.line)
        return dataclasses.replace(origin, field=dotted(path))
