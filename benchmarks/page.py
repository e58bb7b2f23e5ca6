"""What the web page costs: bytes of the first load, time to first row, pages of a long board, and 500 open streams.

    python -m benchmarks.page [--trials 10000] [--long 100000] [--streams 500] [--parts load,board,streams]

Everything runs on this machine: a real server (`hpsearch serve`, SQLite with durable commits), Chromium as the browser
tests use it, and clients in processes of their own; all share the cores. The claim path is measured with and without
open streams in turns, several times, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from api.web.pages.study_board import PAGE_ROWS
from benchmarks.filling import make_history, new_study
from benchmarks.http import STUDY, Tally, quantile, together
from hpsearch.cli.stopping import stop_signals
from hpsearch.client import Client
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.processes import address_of, hpsearch, running

_ROUNDS: Final = 8
_REQUESTS: Final = 100
# Workers without a pause.
_CLIENTS: Final = 2
_PHASES: Final = 3


@contextmanager
def filled(n_trials: int) -> Iterator[tuple[str, str, str]]:
    """Run a server over a study of so many finished trials; give address, token and the study's id."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-page-"))
    try:
        with closing(Context.open(Settings(data_dir=folder / "data"))) as context:
            study_id = new_study(context)
            if n_trials:
                make_history(context, study_id, n_trials, n_epochs=20)
        log = folder / "server.log"
        command = hpsearch("serve", "--port", "0", "--data-dir", str(folder / "data"))
        with running(command, log) as server:
            url = address_of(folder / "data", server, log)
            yield url, (folder / "data" / "token").read_text().strip(), study_id
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(n_trials: int) -> None:
    """Print bytes and times of the study page, opened by a browser that never was there and by one that was."""
    from playwright.sync_api import sync_playwright

    from tests.api.web.browser.chromium import launched
    from tests.api.web.browser.visitor import Visitor

    figures: dict[str, list[float]] = {}
    with filled(n_trials) as (url, token, study_id), sync_playwright() as playwright:
        browser = launched(playwright)
        for n_round in range(_ROUNDS + 1):
            with Visitor.arrive(browser, url, None, width=1440) as visitor:
                page = visitor.page
                sent: list[float] = []
                session = visitor.context.new_cdp_session(page)
                session.send("Network.enable")
                session.on("Network.loadingFinished", lambda event, sent=sent: sent.append(event["encodedDataLength"]))
                scheme_and_host = urlsplit(url)
                visitor.context.add_cookies([_cookie(scheme_and_host.netloc, token, url)])
                for kind in ("first", "again"):
                    sent.clear()
                    page.goto(f"{url}/ui/studies/{study_id}", wait_until="commit")
                    page.locator("#study[data-ready=yes]").wait_for(state="attached")
                    ready_ms = page.evaluate("performance.getEntriesByName('hpsearch:ready')[0].startTime")
                    paint_ms = page.evaluate(
                        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
                    )
                    answer_ms = page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
                    before_charts = sum(sent)
                    page.locator("[data-chart=history]").scroll_into_view_if_needed()
                    page.locator("[data-chart=history][data-drawn=yes]").wait_for()
                    rows = page.locator("#board tbody tr").count()
                    assert rows == PAGE_ROWS, rows
                    if n_round == 0:
                        continue  # caches of the server were cold
                    for name, value in (
                        ("server's answer, ms", answer_ms), ("first row painted, ms", paint_ms),
                        ("interactive, ms", ready_ms),
                        ("received until then, kB", before_charts / 1000),
                        ("received with charts, kB", sum(sent) / 1000),
                    ):  # fmt: skip
                        figures.setdefault(f"{kind} load: {name}", []).append(value)
        browser.close()
    print(f"\nStudy page of {n_trials:,} trials, {_ROUNDS} visits")
    for name, values in figures.items():
        print(f"  {name:<38} median {statistics.median(values):8.0f}   worst {max(values):8.0f}")


def _cookie(host: str, token: str, url: str) -> Any:
    port = host.partition(":")[2]
    return {"name": f"hpsearch_session_{port}", "value": token, "url": url, "httpOnly": True, "sameSite": "Strict"}


def board(n_trials: int) -> None:
    """Print what pages of a long board cost, as the page asks for them (HTML) and as programs do (JSON)."""
    with filled(n_trials) as (url, token, study_id):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Cookie": f"hpsearch_session_{parts.port}={token}"}

        def ask(path: str) -> bytes:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            raw = answer.read()
            assert answer.status == 200, (path, answer.status, raw[:200])
            return raw

        api, page = f"/v1/studies/{study_id}", f"/ui/studies/{study_id}"
        middle = ""
        for _ in range(n_trials // 2000):
            query = f"{api}/leaderboard?limit=1000" + (f"&page_token={middle}" if middle else "")
            middle = json.loads(ask(query))["next_page_token"]
        print(f"\nBoard of {n_trials:,} trials, {PAGE_ROWS} rows a page, {_REQUESTS} requests each")
        print(f"  {'page':<44} {'p50 ms':>8} {'p99 ms':>8}")
        for name, path in (
            ("first, HTML", f"{page}/board"),
            ("first, JSON", f"{api}/leaderboard?limit={PAGE_ROWS}"),
            ("middle, HTML", f"{page}/board?page_token={middle}"),
            ("middle, JSON", f"{api}/leaderboard?limit={PAGE_ROWS}&page_token={middle}"),
            ("sorted by learning_rate, HTML", f"{page}/board?sort=param.learning_rate&order=desc"),
            ("sorted by weights, HTML", f"{page}/board?sort=n_weights"),
            ("history in 4,000 points, JSON", f"{api}/history?max_points=4000"),
            ("parallel coordinates of 1,000 rows, JSON", f"{api}/parallel"),
            ("importances, JSON", f"{api}/importances"),
        ):
            ask(path)
            times = []
            for _ in range(_REQUESTS if "JSON" not in name or "," not in path else 20):
                began = time.perf_counter()
                ask(path)
                times.append((time.perf_counter() - began) * 1e3)
            print(f"  {name:<44} {quantile(times, 0.5):8.1f} {quantile(times, 0.99):8.1f}")


async def _stream(host: str, port: int, token: str, path: str, seen: list[int]) -> None:
    """Read one stream until cancelled, counting its bytes."""
    reader, writer = await asyncio.open_connection(host, port)
    asked = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{asked}Cookie: hpsearch_session_{port}={token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], head
    seen[0] += 1
    try:
        while data := await reader.read(65_536):
            seen[1] += len(data)
    finally:
        writer.close()


def listen(
    url: str, token: str, path: str, n: int, opened: Event, stop: Event, counts: multiprocessing.Queue[int]
) -> None:
    """Hold so many streams open until told to stop."""

    async def run() -> None:
        parts = urlsplit(url)
        seen = [0, 0]
        tasks = [
            asyncio.create_task(_stream(parts.hostname or "127.0.0.1", parts.port or 80, token, path, seen))
            for _ in range(n)
        ]
        while seen[0] < n:
            await asyncio.sleep(0.05)
            failed = [task for task in tasks if task.done()]
            assert not failed, failed[0].exception()
        opened.set()
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        counts.put(seen[1])

    asyncio.run(run())


def streams(n_streams: int, seconds: float) -> None:
    """Print what claims and reports cost while so many streams of the same study are open, and while none is.

    The streams are either those of programs (events as they happen) or those of open pages (the head of the study's
    page, drawn anew whenever something changed).
    """
    programs, pages = f"with {n_streams} streams", f"with {n_streams} open pages"
    arms: dict[str, Tally] = {"without streams": Tally(), programs: Tally(), pages: Tally()}
    heard = dict.fromkeys(arms, 0)
    with filled(0) as (url, token, _):
        with Client(url, token) as api:
            study = api.studies.create(StudyDefinition.model_validate(STUDY)).study_id
        paths = {programs: f"/v1/studies/{study}/events?after=latest", pages: f"/ui/studies/{study}/live"}
        together(url, token, clients=_CLIENTS, seconds=3.0)  # warm
        for _ in range(_PHASES):
            for name, total in arms.items():
                opened, stop = multiprocessing.Event(), multiprocessing.Event()
                counts: multiprocessing.Queue[int] = multiprocessing.Queue()
                listener = None
                if name.startswith("with "):
                    listener = multiprocessing.Process(
                        target=listen, args=(url, token, paths[name], n_streams, opened, stop, counts)
                    )
                    listener.start()
                    assert opened.wait(60), "the streams could not be opened"
                tally = together(url, token, clients=_CLIENTS, seconds=seconds / _PHASES)
                assert not tally.errors, tally.errors
                for kind, values in tally.milliseconds.items():
                    total.milliseconds[kind] += values
                if listener is not None:
                    stop.set()
                    heard[name] += counts.get(timeout=60)
                    listener.join()
    print(f"\nThe queue under load (2 workers without a pause), {_PHASES} turns of {seconds / _PHASES:.0f} s each")
    print(f"  {'':<22} {'request':<12} {'count':>7} {'p50 ms':>8} {'p99 ms':>8}")
    for name, total in arms.items():
        for kind, values in total.milliseconds.items():
            print(
                f"  {name:<22} {kind:<12} {len(values):>7} {quantile(values, 0.5):8.1f} {quantile(values, 0.99):8.1f}"
            )
    print("  received: " + ", ".join(f"{name} {n / 1e6:.1f} MB" for name, n in heard.items() if n))


def main() -> None:
    """Measure the chosen parts and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--long", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--parts", default="load,board,streams")
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, SQLite")
    parts = options.parts.split(",")
    if "load" in parts:
        load(options.trials)
    if "board" in parts:
        board(options.long)
    if "streams" in parts:
        streams(options.streams, options.seconds)


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        main()
