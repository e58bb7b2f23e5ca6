"""The built pages: no warning, links and anchors that lead somewhere, and nothing from any other host."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.architecture.checkout import ROOT

# What a browser fetches by itself, and by which attribute; links are followed by people only.
_FETCHED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "object": "data"}


@dataclass
class _Page(HTMLParser):
    """One page: the ids it has, where it leads, what it fetches."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if _FETCHED.get(tag) in found:
            self.fetched.append(found[str(_FETCHED[tag])])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built once."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "docs.build", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    """Every built page, parsed."""
    found = {}
    for path in site.rglob("*.html"):
        found[path] = _Page()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def _problem(page: Path, target: str, pages: dict[Path, _Page]) -> str | None:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not path.is_file():
        return f"{page.name}: there is nothing at {target}"
    if parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].ids:
        return f"{page.name}: {target} has no such place"
    return None


@pytest.mark.slow
def test_everything_that_is_linked_or_shown_is_there(site: Path, pages: dict[Path, _Page]):
    assert len(pages) > 40
    targets = [(path, target) for path, page in pages.items() for target in (*page.links, *page.fetched)]
    assert len(targets) > 1000
    assert [problem for path, target in targets if (problem := _problem(path, target, pages))] == []
    assert _problem(site / "index.html", "nowhere.html", pages), "a link to nowhere would go unseen"
    assert _problem(site / "index.html", "tutorial.html#nowhere", pages), "a wrong anchor would go unseen"


@pytest.mark.slow
def test_nothing_comes_from_another_host(site: Path, pages: dict[Path, _Page]):
    fetched = [target for page in pages.values() for target in page.fetched if re.match(r"(\w+:)?//", target)]
    assert fetched == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//[^'\")]*", text) == [], sheet.name


@pytest.mark.slow
def test_pictures_and_diagrams_are_shown(site: Path):
    assert "study-wide-light.png" in (site / "tutorial.html").read_text(encoding="utf-8")
    assert (site / "lifecycle.html").read_text(encoding="utf-8").count('class="mermaid"') == 2
    assert "```" not in (site / "architecture.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/cli.html", ["hpsearch db backup", "--max-idle", "HPSEARCH_DATABASE_URL", "Exit codes"]),
        ("reference/settings.html", ["HPSEARCH_LEASE_S", "at most 86,400", "--trainers"]),
        ("reference/definition.html", ["early_stopping", "Budget", "max_weights", "1,000,000"]),
        ("reference/rest.html", ["/v1/studies", "Idempotency-Key", "StudyView", "/healthz"]),
        ("reference/python.html", ["class Client(", "download_model", "StaleAttemptError"]),
    ],
)
def test_references_are_made_from_the_code(site: Path, page: str, words: list[str]):
    text = re.sub(r"<[^>]*>", "", (site / page).read_text(encoding="utf-8"))
    assert [word for word in words if word not in text] == []
