"""Builds the pages: `python -m docs.build FOLDER`, or `make docs`.

They are put together in a temporary folder first: what is written by hand in docs/, some pages of the checkout's own
root, and the references, made from the code. Every warning is an error: a link that leads nowhere ends the build.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from sphinx.cmd.build import build_main

from docs.generator.cli_page import cli_page
from docs.generator.python_page import python_page
from docs.generator.rest_page import document, rest_page
from docs.generator.schema_page import schema, schema_page
from docs.generator.settings_page import settings_page

ROOT: Final = Path(__file__).resolve().parents[1]
_DOCS: Final = ROOT / "docs"
# Pages and files outside of docs/, and where they stand among the pages.
_FROM_ROOT: Final = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples": "examples",
    "deploy": "deploy",
}
_LINK: Final = re.compile(r"(?<!!)\[([^\]\n]*(?:\n[^\]\n]+)?)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def build(target: Path) -> int:
    """Build the pages and return an exit code; the folder is replaced.

    Args:
        target: Folder of the built pages.
    """
    with tempfile.TemporaryDirectory(prefix="hpsearch-docs-") as folder:
        source = Path(folder) / "pages"
        gather(source)
        shutil.rmtree(target, ignore_errors=True)
        arguments = ["--builder", "html", "--fail-on-warning", "--quiet", "--conf-dir", str(_DOCS)]
        return build_main([*arguments, "--doctree-dir", f"{folder}/doctrees", str(source), str(target)])


def gather(source: Path) -> None:
    """Put all pages into a folder, the generated ones too, with links among them that fit."""
    shutil.copytree(_DOCS, source, ignore=shutil.ignore_patterns("*.py", "generator", "_static", "__pycache__"))
    for name, home in _FROM_ROOT.items():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, source / home)
    if not (source / "python.md").exists():
        index = source / "index.md"
        index.write_text(index.read_text(encoding="utf-8").replace("\npython\n", "\n"), encoding="utf-8")
    (source / "examples" / "README.md").rename(source / "examples" / "index.md")
    for page in source.rglob("*.md"):
        page.write_text(_linked(page, source), encoding="utf-8")
    reference = source / "reference"
    reference.mkdir(exist_ok=True)
    openapi = document()
    written = {
        "cli.md": cli_page(),
        "settings.md": settings_page(ROOT),
        "definition.md": schema_page(),
        "study.schema.json": json.dumps(schema(), indent=1),
        "rest.md": rest_page(openapi),
        "openapi.json": json.dumps(openapi, indent=1),
        "python.md": python_page(has_guide=(_DOCS / "python.md").exists()),
    }
    for name, text in written.items():
        (reference / name).write_text(text, encoding="utf-8")


def _linked(page: Path, source: Path) -> str:
    """Return the text of a page with links that lead to where the pages stand now; other files are only named."""
    home = page.relative_to(source)
    origin = _origin(home)

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        place = _place(Path(os.path.normpath(origin.parent / target)))
        if place is None:
            return text
        relative = os.path.relpath(place, home.parent)
        if place.suffix != ".md":
            return f"{{download}}`{text.strip('`')} <{relative}>`"
        return f"[{text}]({relative}{anchor})"

    return _LINK.sub(link, page.read_text(encoding="utf-8"))


def _origin(home: Path) -> Path:
    """Return where a page of the site lies in the checkout, both relative."""
    for name, place in _FROM_ROOT.items():
        if home == Path(place):
            return Path(name)
        if home.is_relative_to(place):
            rest = home.relative_to(place)
            return Path(name) / ("README.md" if rest == Path("index.md") else rest)
    return Path("docs") / home


def _place(path: Path) -> Path | None:
    """Return where a file of the checkout stands among the pages; None when it does not."""
    for name, place in _FROM_ROOT.items():
        if path == Path(name):
            return Path(place) / "index.md" if (ROOT / name).is_dir() and name == "examples" else _file(Path(place))
        if path.is_relative_to(name):
            rest = path.relative_to(name)
            return Path(place) / ("index.md" if rest == Path("README.md") else rest)
    if path.is_relative_to("docs"):
        inside = path.relative_to("docs")
        return inside / "index.md" if (ROOT / path).is_dir() else inside
    return None


def _file(place: Path) -> Path | None:
    return place if place.suffix else None


def main() -> int:
    """Build into the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Build the pages.")
    parser.add_argument("folder", type=Path)
    return build(parser.parse_args().folder)


if __name__ == "__main__":
    sys.exit(main())
