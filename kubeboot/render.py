"""Text from templates/ and YAML from data: the only two ways in which kubeboot writes a config."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml

MAX_BYTES = 4 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000


@functools.cache
def _environment() -> jinja2.Environment:
    packaged = Path(str(resources.files("kubeboot"))) / "templates"
    source = Path(__file__).parent.parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([p for p in (packaged, source) if p.is_dir()]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configs, not HTML
    )
    environment.filters["quoted"] = quoted
    return environment


def template(name: str, **values: object) -> str:
    """Render templates/NAME; a value that the template wants and does not get is an error."""
    return _environment().get_template(name).render(**values)


def dump(data: Mapping[str, Any]) -> str:
    """One YAML document, keys in the given order, strings quoted where YAML 1.1 would misread them."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096)


def dump_all(documents: list[Mapping[str, Any]]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096)


def quoted(text: str) -> str:
    """A YAML scalar in double quotes, on one line, whatever is in it; a filter in templates."""
    return yaml.dump(text, Dumper=yaml.CSafeDumper, default_style='"', width=1 << 30).rstrip("\n")


def load(text: str | bytes) -> Any:  # noqa: ANN401 - YAML is untyped; callers validate
    """One YAML document by the safe C loader; None for an empty one."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


class TooMuch(ValueError):
    """A text that would exhaust the stack or the memory. `line` is where it does, 0 if that is all of it."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def measure(text: str | bytes) -> None:
    """TooMuch for what must not be composed: the composer recurses in C, without a limit."""
    if len(text) > MAX_BYTES:
        raise TooMuch(f"larger than {MAX_BYTES >> 20} MiB")
    depth = line = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark is not None else line
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise TooMuch(f"nested more than {MAX_DEPTH} levels deep", line)
        if count > MAX_NODES:
            raise TooMuch(f"more than {MAX_NODES} values", line)


def load_foreign(text: str | bytes) -> Any:  # noqa: ANN401
    """One YAML document that others wrote; ValueError when it is none, or too much."""
    try:
        measure(text)
        return load(text)
    except TooMuch:
        raise
    except Exception as error:  # YAML's, and any that its constructors let through
        raise ValueError(
            f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from None


def load_all(text: str | bytes) -> list[Any]:
    return [doc for doc in yaml.load_all(text, Loader=yaml.CSafeLoader) if doc is not None]


class _Dumper(yaml.CSafeDumper):
    """Block style for multi-line strings, and no anchors: people read these files."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
