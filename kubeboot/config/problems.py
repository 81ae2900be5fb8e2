"""What is wrong with a description of a cluster: where it was said, what is wrong, what to write instead."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence

from kubeboot import errors

Path = tuple[str | int, ...]
"""Where a value is in the description, in the words of the file: ("networking", "podSubnet")."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a value was said. `raw` is the text as it stood there, when that is known.

    `field` is what the value is called there, when that is another name (a flag, kubeadm's field).
    """

    source: str
    line: int = 0
    raw: str | None = None
    field: str | None = None
    command_line: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `origin` is found from the path when it is not given.

    `or_at` are other values that are as much to blame: what was said wins over what is a default.
    """

    path: Path
    message: str
    fix: str | None = None
    origin: Origin | None = None
    or_at: tuple[Path, ...] = ()

    def __str__(self) -> str:
        field = (self.origin.field if self.origin else None) or dotted(self.path)
        where = [str(self.origin)] if self.origin and str(self.origin) != field else []
        text = ": ".join([*where, *([field] if field else []), self.message])
        return printable(f"{text} ({self.fix})" if self.fix else text)


class InvalidConfig(errors.ConfigInvalid):
    """Everything that is wrong, in one go. The exit code is 2 when all of it was said on the command line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = sorted(problems, key=_order)
        self.problems = tuple(dict.fromkeys(ordered))
        typed = all(p.origin is not None and p.origin.command_line for p in self.problems)
        if typed:
            self.exit_code, self.reason = errors.UsageProblem.exit_code, errors.UsageProblem.reason
        super().__init__(
            _headline(len(self.problems), typed),
            hint="`--help` describes the options"
            if typed
            else "`kubeboot config schema` describes every field",
            output="\n".join(str(p) for p in self.problems),
        )


def _headline(count: int, typed: bool) -> str:
    where = "on the command line" if typed else "in the configuration"
    return f"1 problem {where}" if count == 1 else f"{count} problems {where}"


def _order(problem: Problem) -> tuple[str, int, str]:
    origin = problem.origin or Origin("")
    return origin.source, origin.line, dotted(problem.path)


def dotted(path: Path) -> str:
    """`apiServer.extraArgs[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def located(problems: Iterable[Problem], origins: Mapping[Path, Origin]) -> list[Problem]:
    """The problems, each with the origin of its value or of the nearest thing around it."""
    return [p if p.origin else _located(p, origins) for p in problems]


def _located(problem: Problem, origins: Mapping[Path, Origin]) -> Problem:
    path = next((p for p in (problem.path, *problem.or_at) if p in origins), problem.path)
    return dataclasses.replace(problem, path=path, origin=nearest(path, origins))


def nearest(path: Path, origins: Mapping[Path, Origin]) -> Origin | None:
    """The origin of a path, or of the innermost thing that holds it."""
    for length in range(len(path), -1, -1):
        if (found := origins.get(path[:length])) is not None:
            return _within(found, path[length:])
    return None


def _within(origin: Origin, rest: Path) -> Origin:
    """In a document that calls things otherwise, what is missing below is named as well."""
    if not (rest and origin.field and origin.line):
        return origin
    name = dotted(rest)
    return dataclasses.replace(origin, field=f"{origin.field}{'' if name.startswith('[') else '.'}{name}")


def printable(text: str) -> str:
    """The text with nothing in it that a terminal would obey or that would begin another line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def meant(word: str, known: Iterable[str]) -> str | None:
    """`did you mean …?`, when something known is near."""
    words = list(known)
    lowered = {w.lower().replace("_", "").replace("-", ""): w for w in words}
    same = lowered.get(word.lower().replace("_", "").replace("-", ""))
    close = [same] if same else difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
