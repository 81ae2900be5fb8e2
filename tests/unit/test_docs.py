"""The pages for users say what the program does: fields, reasons, commands, examples."""

from __future__ import annotations

import pathlib
import re

import click
import pytest

from kubeboot.cli import app
from kubeboot.config import component_fields, describe, loader, reference, wording
from kubeboot.config.loader import Sources
from tests.unit.cli_support import run

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
REASON = re.compile(r"\bKB_[A-Z0-9_]+\b")
PAGES = ("configuration.md", "quick-start.md", "troubleshooting.md")
ALL = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
SAID = re.compile(r"`(?:sudo )?(kubeboot [^`\n{]*)`")
"""A command within a sentence."""
TYPED = re.compile(r"^(?:[\w-]*\$ +)?(?:sudo )?(kubeboot .*)$", re.MULTILINE)
"""One on a line of its own, perhaps behind a prompt."""


def reasons_in_the_code() -> set[str]:
    return {r for path in (ROOT / "kubeboot").rglob("*.py") for r in REASON.findall(path.read_text())}


def rows(page: str) -> dict[str, list[str]]:
    """The page's table rows that begin with a reason."""
    found = {}
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("| `KB_"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert cells[0].strip("`") not in found, f"{cells[0]} is listed twice"
            found[cells[0].strip("`")] = cells[1:]
    return found


def test_every_reason_is_on_the_page_with_its_meaning_and_what_to_do() -> None:
    found = rows("troubleshooting.md")
    assert set(found) == reasons_in_the_code()
    assert all(len(cells) == 2 and all(len(cell) > 10 for cell in cells) for cells in found.values())


def test_the_reference_is_up_to_date() -> None:
    """After a change: kubeboot config schema --markdown > docs/configuration.md"""
    ran = run("config", "schema", "--markdown")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (DOCS / "configuration.md").read_text()


def test_every_field_has_its_sentence_and_no_sentence_is_idle() -> None:
    schema = describe.schema()
    models = {**schema["$defs"], "ClusterSpec": schema}
    fields = {
        (model, field)
        for model, shape in models.items()
        for field in shape["properties"]
        if field not in ("apiVersion", "kind")
    }
    assert all(wording.of(model, field) for model, field in fields)
    assert {tuple(key.split(".")) for key in wording.FIELDS} <= fields


def test_the_reference_names_every_field() -> None:
    text = reference.markdown()
    for key in wording.FIELDS:
        assert f"| `{key.split('.')[1]}` |" in text
    for link in re.findall(r"\]\(#([a-z]+)\)", text):
        assert re.search(rf"^## {link}$", text, re.IGNORECASE | re.MULTILINE), link


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_configuration_are_valid(page: str, tmp_path: pathlib.Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    for text in blocks:
        path = tmp_path / "cluster.yaml"
        path.write_text(text)
        assert loader.load(Sources(files=[str(path)])).warnings == ()
    assert blocks or page == "troubleshooting.md"


def test_the_example_uses_what_there_is() -> None:
    assert "maxPods" in reference.EXAMPLE and "maxPods" in component_fields.KUBELET


def commands(text: str) -> list[str]:
    """Each up to its comment, its pipe or its redirection."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    found = [*SAID.findall(text), *(line for block in blocks for line in TYPED.findall(block))]
    return [re.split(r" #| \|{1,2} | > | && |;|\\$", line)[0].rstrip("|,:.") for line in found]


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_commands_and_options_exist(page: pathlib.Path) -> None:
    """Every `kubeboot …` on a page is a command with options that it has."""
    found = commands(page.read_text())
    assert found or page.name == "track-record.md"
    for line in found:
        exists(line)


def test_commands_in_hints_exist() -> None:
    """What a message says to run can be run."""
    texts = [path.read_text() for path in (ROOT / "kubeboot").rglob("*.py")]
    found = [line for text in texts for line in SAID.findall(text)]
    assert len(found) > 50
    for line in found:
        exists(line)


def exists(line: str) -> None:
    """The command that a line names, and its options."""
    found = _command(line.split())
    known = {name for p in found.params for name in (*p.opts, *p.secondary_opts)}
    assert set(re.findall(r" (--[a-z][a-z-]+)", line.partition(" -- ")[0])) <= {*known, "--help"}, line


def _command(words: list[str]) -> click.Command:
    found: click.Command = app.cli
    context = click.Context(app.cli)
    for word in words[1:]:
        if not isinstance(found, click.Group) or word.startswith("-"):
            break
        inner = found.get_command(context, word)
        if inner is None:
            assert "|" in word, f"there is no command {' '.join(words)}"
            break
        found = inner
    return found


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
