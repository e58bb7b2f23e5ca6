"""The list of studies: filters, pages, progress, news."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from hpsearch.service.studies import crud, steering
from hpsearch.wire.studies import StudyPatch
from tests.api.conftest import Live, Worker, bearer_of, create_study, live
from tests.api.web.conftest import COOKIE, Site
from tests.api.web.tags import Tags

__all__ = ["live"]  # a fixture


def test_no_studies_yet(fresh: Site) -> None:
    assert "No studies yet" in fresh.author.get("/ui/studies").text
    assert 'href="/ui/studies/new"' in fresh.author.get("/ui/studies").text
    assert "Your token is read-only" in fresh.reader.get("/ui/studies").text
    assert "No studies match" in fresh.reader.get("/ui/studies?name=x").text


def _names(text: str) -> list[str]:
    return re.findall(r'class="cell-main" href="/ui/studies/[^"]+">([^<]*)<', text)


def test_studies_are_found_by_name_state_and_label(either: Site) -> None:
    ids = {
        name: create_study(either.client, either.headers, name=name) for name in ("Iris one", "iris TWO", "100%_sure")
    }
    crud.patch(either.context, ids["Iris one"], StudyPatch(labels={"team": "vision", "a.b": "c"}))
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
    crud.patch(site.context, study_id, StudyPatch(labels={"<b>k": "</td><script>"}))
    text = site.reader.get("/ui/studies?name=onerror").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img" not in text
    assert "<b>k" not in text
    assert len(Tags(text).of("script")) == 4
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
