"""Blocks of code on pages, and what is wrong with them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.studyfile.reader import load_study
from tests.deploy.rules import command_problem

_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", flags=re.MULTILINE | re.DOTALL)
# Shown as they are: output, other languages, and what the generator of the pages reads.
_SHOWN = {"text", "mermaid", "sql"}
_COMMAND = re.compile(r"(?:^|[\s(/\"])hpsearch ((?:[^\n|;&<>()\"'#`]|\"[^\"\n]*\"|'[^'\n]*')*)", flags=re.MULTILINE)
# What follows the name where it is that of a user or a database: `createdb hpsearch --owner hpsearch`.
_NO_COMMAND = ("-", "HPSEARCH_", "/")


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        page: It stands on.
        language: As the fence names it.
        text: Without the fences, and without the indentation of a list.
    """

    page: Path
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Block(page, match[3].strip(), re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE))


def commands(script: str) -> Iterator[list[str]]:
    """Yield the arguments of every hpsearch command in a shell script."""
    for match in _COMMAND.finditer(script.replace("\\\n", " ")):
        arguments = shlex.split(match[1])
        if arguments and not arguments[0].startswith(_NO_COMMAND):
            yield arguments


def problem(block: Block, folder: Path) -> str | None:
    """Return what is wrong with a block; None when it is right.

    Args:
        block: Any.
        folder: Its files are written there.
    """
    language = block.language
    if language.startswith("{") or language in _SHOWN:
        return None  # the build of the pages checks directives
    check = {"sh": _shell, "yaml": _study, "json": _json, "python": _python}.get(language)
    return f"a block of an unknown language {language!r}" if check is None else check(block.text, folder)


def _shell(text: str, _folder: Path) -> str | None:
    parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode != 0:
        return f"bash can not read it: {parsed.stderr}"
    problems = (command_problem(arguments) for arguments in commands(text))
    return next((problem for problem in problems if problem), None)


def _study(text: str, folder: Path) -> str | None:
    dataset = re.search(r"path: ([\w.]+), target: (\w+)", text)
    if dataset is not None:
        (folder / dataset[1]).write_text(f"a,part,{dataset[2]}\n1,train,x\n2,test,y\n", encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_study(path)
    except HpsearchError as error:
        return error.message
    return None


def _json(text: str, _folder: Path) -> str | None:
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def _python(text: str, _folder: Path) -> str | None:
    try:
        compile(text, "a page", "exec")
    except SyntaxError as error:
        return str(error)
    return None
