"""The shell of the page and the list of studies: headers, assets, errors, filters, pages, news."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from api.web import assets
from hpsearch.errors import UnavailableError
from hpsearch.service import steering, studies
from hpsearch.wire.studies import StudyPatch
from tests.api.conftest import Live, Worker, bearer_of, create_study, live
from tests.web.conftest import COOKIE, Site

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


class _Tags(HTMLParser):
    """Collects what a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


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
    page = _Tags(answer.text)
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
    page = _Tags(site.admin.get(address).text)
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
    page = _Tags(site.client.get("/ui/sign-in").text)
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
    page = _Tags(site.client.get("/ui/sign-in").text)
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


def test_no_studies_yet(fresh: Site) -> None:
    assert "No studies yet" in fresh.author.get("/ui/studies").text
    assert 'href="/ui/studies/new"' in fresh.author.get("/ui/studies").text
    assert "may only look" in fresh.reader.get("/ui/studies").text
    assert "No study is like this" in fresh.reader.get("/ui/studies?name=x").text


def _names(text: str) -> list[str]:
    return re.findall(r'class="cell-main" href="/ui/studies/[^"]+">([^<]*)<', text)


def test_studies_are_found_by_name_state_and_label(either: Site) -> None:
    ids = {
        name: create_study(either.client, either.headers, name=name) for name in ("Iris one", "iris TWO", "100%_sure")
    }
    studies.patch(either.context, ids["Iris one"], StudyPatch(labels={"team": "vision", "a.b": "c"}))
    steering.pause(either.context, ids["iris TWO"])
    steering.cancel(either.context, ids["100%_sure"])

    def found(query: str) -> list[str]:
        answer = either.reader.get(f"/ui/studies?{query}")
        assert answer.status_code == 200, answer.text
        return _names(answer.text)

    assert found("") == ["100%_sure", "iris TWO", "Iris one"]
    assert found("name=IRIS") == ["iris TWO", "Iris one"]
    assert found("name=%25_") == ["100%_sure"]
    assert found("name=%25s") == []
    assert found("state=PAUSED") == ["iris TWO"]
    assert found("state=OPEN") == ["iris TWO", "Iris one"]
    assert found("state=OPEN&name=one") == ["Iris one"]
    assert found("label=team") == found("label=team%3Dvision") == found("label=+a.b+%3D+c") == ["Iris one"]
    assert found("label=team%3Dsound") == found("label=tea") == []
    assert found("label=%27%3B+DROP+TABLE+study") == []


def test_filters_answer_htmx_with_the_list_alone(either: Site) -> None:
    create_study(either.client, either.headers, name="one")
    answer = either.reader.part("/ui/studies?name=one&state=&label=")
    assert answer.text.lstrip().startswith('<div id="studies" hx-sse:connect="/ui/studies/live?name=one"')
    assert answer.headers["HX-Replace-Url"] == "/ui/studies?name=one"


def test_studies_are_paged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.web.pages.studies._LIMIT", 2)
    for name in ("p1", "p2", "p3"):
        create_study(site.client, site.headers, name=name)
    first = site.reader.get("/ui/studies?name=p").text
    assert _names(first) == ["p3", "p2"]
    older = re.search(r'href="([^"]+)">Older<', first)
    assert older
    second = site.reader.get(older[1].replace("&amp;", "&")).text
    assert _names(second) == ["p1"]
    assert ">Older<" not in second
    assert 'href="/ui/studies?name=p">Newest<' in second


def test_names_are_text_whatever_they_hold(site: Site) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
    study_id = create_study(site.client, site.headers, name=hostile)
    studies.patch(site.context, study_id, StudyPatch(labels={"<b>k": "</td><script>"}))
    text = site.reader.get("/ui/studies?name=onerror").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img" not in text
    assert "<b>k" not in text
    assert len(_Tags(text).of("script")) == 4
    label = re.search(r'href="(/ui/studies\?[^"]*label=[^"]+)"', text)
    assert label
    assert _names(site.reader.get(label[1].replace("&amp;", "&")).text) == [
        "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;{{7*7}}"
    ]


def test_progress_and_the_best_value_so_far(either: Site) -> None:
    create_study(either.client, either.headers, name="done", budget={"max_trials": 6, "device_seconds": 100.0})
    worker = Worker.register(either.client, either.headers)
    worker.finish(3)
    text = either.reader.get("/ui/studies").text
    assert "3 of 6" in text
    assert '<progress max="6" value="3" aria-label="3 of 6 trials finished">' in text
    assert re.search(r'<span class="best">0\.5[12]\d+</span>', text)
    assert re.search(r'aria-label="accuracy, best so far: from 0\.5\d+ to 0\.5\d+ over 3 results"', text)
    assert re.search(r'<path d="M3.0 [\d.]+(H[\d.]+V[\d.]+)*H117.0"/>', text)
    assert "no worker has been heard of" not in text
    assert "left" in text
    worker.finish(3)
    text = either.reader.get("/ui/studies").text
    assert '<span class="state COMPLETED">completed</span>' in text
    assert "ended" in text


def _stream(server: Live, address: str, frames: list[tuple[float, str]], started: threading.Event) -> None:
    token = server.admin["Authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"{COOKIE}_{server.port}={token}", "Accept": "text/html, text/event-stream"}
    with (
        httpx2.Client(base_url=server.url, headers=headers, timeout=30) as client,
        client.stream("GET", address) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        text = ""
        for piece in answer.iter_text():
            text += piece
            while "\n\n" in text:
                frame, _, text = text.partition("\n\n")
                if "data: " in frame:
                    frames.append((time.monotonic(), frame))
                    started.set()
            if "the last one" in piece:
                return


@pytest.fixture
def watched(live: Live) -> Iterator[tuple[Live, list[tuple[float, str]]]]:
    """A server, and what a page that shows its studies is sent."""
    frames: list[tuple[float, str]] = []
    started = threading.Event()
    thread = threading.Thread(target=_stream, args=(live, "/ui/studies/live", frames, started), daemon=True)
    thread.start()
    assert started.wait(20)
    yield live, frames
    with live.client() as client:
        create_study(client, live.admin, name="the last one")
    thread.join(20)
    assert not thread.is_alive()


def test_the_list_is_alive(watched: tuple[Live, list[tuple[float, str]]]) -> None:
    server, frames = watched
    assert "No studies yet" in frames[0][1]
    assert all(line.startswith(("data: ", "id: ")) for line in frames[0][1].splitlines())
    with server.client() as client:
        create_study(client, server.admin, name="seen at once")
    made = time.monotonic()
    deadline = made + 10
    while not any("seen at once" in frame for _, frame in frames):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first = next(at for at, frame in frames if "seen at once" in frame)
    assert first - made < 3.0  # under a second on a machine that does nothing else; tests share theirs


def test_a_stream_knows_where_it_was(live: Live) -> None:
    token = bearer_of(live.context, "read")["Authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"{COOKIE}_{live.port}={token}"}
    with httpx2.Client(base_url=live.url, headers=headers, timeout=30) as client:
        with client.stream("GET", "/ui/studies/live") as answer:
            mark = re.search(r"id: (\w+)", _until(answer.iter_text(), "id: "))
        assert mark
        with client.stream("GET", "/ui/studies/live", headers={"Last-Event-ID": mark[1]}) as answer:
            pieces = answer.iter_text()
            assert "retry" in next(pieces)
            create_study(client, live.admin, name="newer")
            assert "newer" in _until(pieces, "newer")


def _until(pieces: Iterator[str], wanted: str) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if wanted in text:
            return text
    msg = f"the stream ended without {wanted!r}"
    raise AssertionError(msg)


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
