"""The shell of the page: headers, assets, errors."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from api.web import assets
from hpsearch.errors import UnavailableError
from tests.api.conftest import live
from tests.api.web.conftest import Site
from tests.api.web.tags import Tags

__all__ = ["live"]  # a fixture

_STATIC = Path(assets.__file__).parent / "static"
_TEMPLATES = Path(assets.__file__).parent / "templates"
_ADDRESSES = [
    "/ui/sign-in",
    "/ui/studies",
    "/ui/studies/new",
    "/ui/studies/new?builtin=iris",
    "/ui/fleet",
    "/ui/datasets",
    "/ui/tokens",
    "/ui/nothing",
    "/ui/datasets/nothing",
]


@pytest.mark.parametrize("address", _ADDRESSES)
def test_pages_hold_nothing_the_policy_forbids(site: Site, address: str) -> None:
    answer = site.admin.get(address)
    policy = answer.headers["Content-Security-Policy"]
    for part in (
        "default-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    page = Tags(answer.text)
    assert not page.of("style")
    for script in page.of("script"):
        assert script["src"].startswith("/ui/static/")
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert name != "style", (tag, attributes)
            assert not name.startswith(("on", "hx-on")), (tag, attributes)
            assert "js:" not in (value or ""), (tag, attributes)
            assert "://" not in (value or "") or name == "xmlns", (tag, attributes)


@pytest.mark.parametrize("address", _ADDRESSES)
def test_pages_can_be_read_without_looking(site: Site, address: str) -> None:
    page = Tags(site.admin.get(address).text)
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
    assert page.of("a")[0]["href"] == "#content"
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    labelled = {attributes.get("for") for attributes in page.of("label")}
    for tag in ("input", "select", "textarea"):
        for field in page.of(tag):
            if field.get("type") in ("hidden", "checkbox"):
                continue
            assert field.get("id") in labelled or field.get("aria-label"), field
    for table in page.of("table"):
        assert page.of("th"), table


def test_pages_travel_packed(site: Site) -> None:
    plain = site.admin.get("/ui/studies", **{"Accept-Encoding": "identity"})
    packed = site.admin.get("/ui/studies", **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_every_file_of_the_page_is_kept_for_ever_under_its_own_address(site: Site) -> None:
    page = Tags(site.client.get("/ui/sign-in").text)
    addresses = [one["src"] for one in page.of("script")] + [one["href"] for one in page.of("link")]
    assert len(addresses) == 6
    for address in addresses:
        answer = site.client.get(address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        again = site.client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        stale = site.client.get(address.partition("?")[0] + "?v=0000")
        assert stale.headers["Cache-Control"] == "no-cache"
    for path in _STATIC.iterdir():
        assert site.client.get(f"/ui/static/{path.name}").content == path.read_bytes()


def test_the_first_page_is_small(site: Site) -> None:
    page = Tags(site.client.get("/ui/sign-in").text)
    addresses = [one["src"] for one in page.of("script")] + [one["href"] for one in page.of("link")]
    sizes = {
        one: int(site.client.get(one, headers={"Accept-Encoding": "gzip"}).headers["Content-Length"])
        for one in addresses
    }
    assert sum(sizes.values()) < 40_000, sizes


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "..%2fassets.py",
        "%2e%2e%2fassets.py",
        "..%5cassets.py",
        "%2fetc%2fpasswd",
        ".",
        "app.css%00",
        "app.css/",
        "",
    ],
)
def test_only_files_of_the_page_are_served(site: Site, name: str) -> None:
    answer = site.client.get(f"/ui/static/{name}", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "SessionGuard" not in answer.text


def test_templates_name_only_files_that_are_there() -> None:
    named = {
        name
        for path in _TEMPLATES.rglob("*.html")
        for name in re.findall(r"asset\('([^']+)'\)", path.read_text("utf-8"))
    }
    assert named
    for name in named:
        assert (_STATIC / name).is_file(), name


def test_templates_never_switch_escaping_off_and_scripts_never_parse_html() -> None:
    for path in _TEMPLATES.rglob("*.html"):
        text = path.read_text("utf-8")
        assert "| safe" not in text, path
        assert "autoescape" not in text, path
    own = [path for path in _STATIC.glob("*.js") if path.name not in ("htmx.js", "hx-sse.js", "echarts.js")]
    for path in own:
        text = path.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text, (path, word)


def test_colours_are_far_enough_apart() -> None:
    """WCAG AA: 4.5 to 1 for every colour that text has on every ground it stands on, in both themes."""
    css = (_STATIC / "app.css").read_text("utf-8")
    light = _tokens(css, ":root {")
    for theme in (
        light,
        light | _tokens(css, ':root[data-theme="dark"] {'),
        light | _tokens(css, ":root:not([data-theme]) {"),
    ):
        for ink in ("text", "muted", "accent", "accent-strong", "good", "warn", "bad", "odd"):
            for ground in ("surface", "bg", "surface-2"):
                assert _contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        for ink in ("good", "warn", "bad", "odd"):
            assert _contrast(theme[ink], theme[f"{ink}-soft"]) >= 4.5, ink
        assert _contrast(theme["accent-strong"], theme["accent-soft"]) >= 4.5
        assert _contrast(theme["on-accent"], theme["accent"]) >= 4.5
        assert _contrast(theme["on-accent"], theme["accent-strong"]) >= 4.5
        for mark in ("line-strong", "focus", *(f"series-{i}" for i in range(1, 9))):
            assert _contrast(theme[mark], theme["surface"]) >= (3 if not mark.startswith("series") else 2), mark


def test_both_ways_to_the_dark_show_the_same() -> None:
    css = (_STATIC / "app.css").read_text("utf-8")
    assert _tokens(css, ':root[data-theme="dark"] {') == _tokens(css, ":root:not([data-theme]) {")


def _tokens(css: str, head: str) -> dict[str, str]:
    block = css[css.index(head) :].partition("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/ui/nothing", 404, "There is nothing at this address"),
        ("/ui/datasets/nothing", 404, "There is no data set"),
        ("/ui/studies?colour=red", 422, "Unknown query parameter"),
        ("/ui/studies?page_token=none", 422, "Page_token is not one"),
        ("/ui/studies?state=GREEN", 422, "State must be one of"),
        ("/ui/studies?label=%3D", 422, "Label must be key"),
        ("/ui/studies/new?dataset=nothing", 404, "There is no data set"),
        ("/ui/studies/new?builtin=nothing", 404, "There is no such data set"),
        ("/ui/studies/new?builtin=iris&generated=moons", 404, "There is no such data set"),
    ],
)
def test_errors_are_pages_that_say_what_to_do(site: Site, address: str, status: int, said: str) -> None:
    answer = site.admin.get(address)
    assert answer.status_code == status
    assert said in answer.text
    assert 'href="/ui/studies"' in answer.text
    assert answer.headers["X-Request-ID"] in answer.text
    part = site.admin.part(address)
    assert part.status_code == status
    assert said in part.text
    assert "<html" not in part.text
    assert (part.headers["HX-Retarget"], part.headers["HX-Reswap"]) == ("#notices", "beforeend")


def test_what_fails_unexpectedly_tells_nothing_of_the_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "the secret of the house"
        raise RuntimeError(msg)

    monkeypatch.setattr("api.web.pages.studies.overview", fail)
    answer = site.admin.get("/ui/studies")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_a_database_that_is_away_is_asked_again_by_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        msg = "the database does not answer"
        raise UnavailableError(msg)

    monkeypatch.setattr("api.web.pages.studies.overview", away)
    answer = site.admin.get("/ui/studies")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert '<meta http-equiv="refresh" content="5">' in answer.text


@pytest.mark.parametrize("name", ["htmx.js", "hx-sse.js"])
def test_what_others_wrote_says_so(name: str) -> None:
    first_line = (_STATIC / name).read_text("utf-8").partition("\n")[0]
    assert re.fullmatch(r"/\* htmx 4\.\d+\.\d+ \(htmx\.org\), Zero-Clause BSD: see htmx\.LICENSE\.txt \*/", first_line)
    assert "Zero-Clause BSD" in (_STATIC / "htmx.LICENSE.txt").read_text("utf-8")
    assert "sourceMappingURL" not in (_STATIC / name).read_text("utf-8")


def test_packed_files_unpack_to_themselves() -> None:
    for name in ("app.css", "app.js", "htmx.js"):
        asset = assets._assets()[name]
        assert gzip.decompress(asset.packed) == asset.content
