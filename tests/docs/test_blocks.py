"""Every block of code on every page: shell that bash reads and commands that exist, studies, JSON, Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT, relative
from tests.docs.blocks import Block, blocks, commands, problem

_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])


@pytest.mark.parametrize("page", [page for page in _PAGES if list(blocks(page))], ids=relative)
def test_blocks_are_right(page: Path, tmp_path: Path):
    assert [found for block in blocks(page) if (found := problem(block, tmp_path))] == []


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_variables_that_are_named_are_in_the_table_of_settings(page: Path):
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Settings\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"\bHPSEARCH_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert sorted(name for name in named if f"`{name}`" not in table and not name.startswith("HPSEARCH_TEST_")) == []


def test_there_are_blocks_of_every_kind():
    found = [block for page in _PAGES for block in blocks(page)]
    assert {"sh", "yaml", "json", "mermaid"} <= {block.language for block in found}
    assert sum(len(list(commands(block.text))) for block in found if block.language == "sh") > 40


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("sh", "hpsearch serv\n", "no command serv"),
        ("sh", "sudo -u x /opt/hpsearch/bin/hpsearch serve --prot 1\n", "--prot"),
        ("sh", 'T="$(hpsearch tokens create --name x --scop read)"\n', "--scop"),
        ("sh", "if true; then\n", "bash can not read it"),
        ("yaml", "name: x\ndataset: {builtin: digits}\nspace: {unitz: 3}\n", "unitz"),
        ("yaml", "name: x\ndataset: {path: d.csv, target: a}\nspace: {units: 3}\nsplit: {fold: 5}\n", "fold"),
        ("json", "{'a': 1}", "Expecting"),
        ("python", "print 1", "Missing parentheses"),
        ("shell", "hpsearch serve", "unknown language"),
    ],
)
def test_a_planted_mistake_is_found(language: str, text: str, expected: str, tmp_path: Path):
    assert expected in str(problem(Block(ROOT / "x.md", language, text), tmp_path))
