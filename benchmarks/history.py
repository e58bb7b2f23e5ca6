"""What claims, reports and pages cost after a long history: p50 and p99 in milliseconds, on both databases.

    python -m benchmarks.history [--sizes 1000,10000,100000] [--databases sqlite,postgresql] [--rounds 300]

For each size a database is filled with that many finished trials of 50 epochs, and a real server is started on it with
tokens, event log and durable commits. One client then asks all servers in turn, one request of each kind per round, so
that whatever else the machine does falls on all sizes alike. Ratios are to the smallest size.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.filling import make_history, new_study
from benchmarks.http import quantile, served
from hpsearch.cli.stopping import stop_signals
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.chaos.places import fresh, own_postgres
from tests.postgres import PostgresServer

KINDS: Final = (
    "claim",
    "report, 1 epoch",
    "report, completion",
    "leaderboard, first page",
    "leaderboard, deep page",
    "study page",
    "trials, first page",
    "trials, deep page",
    "trial",
    "trial's measurements",
)
_PAGE: Final = 50
_WARM_UP: Final = 20
_CLAIM_LIMIT: Final = 2.0
Figures = dict[str, list[float]]


class Arm:
    """One server with a history, a client of it, and what was measured.

    Args:
        url: Of the server.
        token: Its admin token.
        study_id: The filled study.
        size: Trials in its history.
    """

    def __init__(self, url: str, token: str, study_id: str, size: int) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._http = http.client.HTTPConnection(host, int(port), timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._study = f"/v1/studies/{study_id}"
        self.size = size
        self.figures: Figures = defaultdict(list)
        self._worker = self._ask("POST", "/v1/workers", {"name": "history"})["worker_id"]
        self._old_trial = self._ask("GET", f"{self._study}/trials?limit=1&state=COMPLETE")["items"][0]["trial_id"]
        self._deep = {what: self._deep_token(what, page) for what, page in (("leaderboard", 500), ("trials", 1000))}
        self._n = 0

    def _ask(self, method: str, path: str, body: object = None, kind: str | None = None) -> Any:
        began_s = time.perf_counter()
        self._http.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._http.getresponse()
        raw = answer.read()
        if kind is not None:
            self.figures[kind].append((time.perf_counter() - began_s) * 1e3)
        assert answer.status in (200, 201), f"{method} {path}: {answer.status} {raw[:300]!r}"
        return json.loads(raw)

    def _deep_token(self, what: str, page: int) -> str:
        """Return the token with which a page begins near the end of the history."""
        query, token = f"{self._study}/{what}?limit={page}", None
        for _ in range(max(1, int(0.9 * self.size / page))):
            token = self._ask("GET", query + (f"&page_token={token}" if token else ""))["next_page_token"]
        assert token is not None, f"{what} of {self.size} trials has no second page of {page}"
        return str(token)

    def round(self) -> None:
        """Ask once for everything."""
        self._n += 1
        claim = {"claim_id": f"round {self._n}", "max_trials": 1, "wait_s": 10}
        (trial,) = self._ask("POST", f"/v1/workers/{self._worker}/claims", claim, "claim")["trials"]
        current = {"trial_id": trial["trial_id"], "attempt": trial["attempt"]}
        value = 0.5 + self._n / 1e6
        metrics = {"accuracy": value, "loss": 1.0, "train_loss": 1.0}
        outcome = {"state": "COMPLETE", "value": value, "metrics": metrics, "best_epoch": 1, "epochs": 1}
        reports = f"/v1/workers/{self._worker}/reports"
        for kind, news in (
            ("report, 1 epoch", {"measurements": [{"epoch": 1, "metrics": metrics}]}),
            ("report, completion", {"outcome": outcome}),
        ):
            (result,) = self._ask("POST", reports, {"reports": [{**current, **news}]}, kind)["results"]
            assert result["status"] == "accepted", result
        board = f"{self._study}/leaderboard"
        for kind, path in (
            ("leaderboard, first page", f"{board}?limit={_PAGE}"),
            (
                "leaderboard, deep page",
                f"{board}?limit={_PAGE}&page_token={self._deep['leaderboard']}",
            ),
            ("study page", self._study),
            ("trials, first page", f"{self._study}/trials?limit={_PAGE}"),
            ("trials, deep page", f"{self._study}/trials?limit={_PAGE}&page_token={self._deep['trials']}"),
            ("trial", f"/v1/trials/{self._old_trial}"),
            ("trial's measurements", f"/v1/trials/{self._old_trial}/measurements"),
        ):
            self._ask("GET", path, None, kind)

    def reconnect(self) -> None:
        """Open a new connection with the next request: the server closes one that was idle for long."""
        self._http.close()

    def forget(self) -> None:
        """Drop what was measured so far: caches were cold and statements unknown."""
        self.figures.clear()


@contextmanager
def arm(server: PostgresServer | None, size: int) -> Iterator[Arm]:
    """Yield a server over a fresh database with so many finished trials."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-history-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = f"sqlite:///{folder / 'history.sqlite3'}"
        if server is not None:
            database = str(stack.enter_context(fresh(server)).url)
        began_s = time.monotonic()
        with closing(Context.open(Settings(data_dir=folder, database_url=database))) as ctx:
            study_id = new_study(ctx)
            make_history(ctx, study_id, size)
        print(f"  {size} trials of 50 epochs stored in {time.monotonic() - began_s:.1f} s", file=sys.stderr, flush=True)
        url, token = stack.enter_context(served(database))
        yield Arm(url, token, study_id, size)


def measure(server: PostgresServer | None, sizes: list[int], rounds: int) -> list[Arm]:
    """Return the arms with what was measured in them; their servers have ended."""
    with ExitStack() as stack:
        arms = [stack.enter_context(arm(server, size)) for size in sizes]
        for one in arms:
            one.reconnect()
        for number in range(_WARM_UP + rounds):
            if number == _WARM_UP:
                for one in arms:
                    one.forget()
            # Who goes first changes: it may meet a disk that is still busy with the round before.
            for position in range(len(arms)):
                arms[(number + position) % len(arms)].round()
    return arms


def show(database: str, arms: list[Arm]) -> bool:
    """Print one database's table; return whether a claim stays below its limit."""
    smallest = arms[0]
    sizes = "".join(f" {one.size:,} trials |" for one in arms)
    print(f"\n| {database}: p50 / p99 ms |{sizes} p50 ratio | p99 ratio |")
    print("|---|" + "---|" * (len(arms) + 2))
    ratio = 0.0
    for kind in KINDS:
        cells = "".join(
            f" {quantile(one.figures[kind], 0.5):.1f} / {quantile(one.figures[kind], 0.99):.1f} |" for one in arms
        )
        middle, high = (
            quantile(arms[-1].figures[kind], share) / quantile(smallest.figures[kind], share) for share in (0.5, 0.99)
        )
        ratio = high if kind == "claim" else ratio
        print(f"| {kind} |{cells} {middle:.2f} | {high:.2f} |")
    kept = ratio < _CLAIM_LIMIT
    print(f"claim p99 at {arms[-1].size:,} is {ratio:.2f} times that at {smallest.size:,}: "
          f"{'below' if kept else 'NOT below'} {_CLAIM_LIMIT:g}", flush=True)  # fmt: skip
    return kept


def main() -> int:
    """Print both tables; return 1 when a claim grows with history."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    sizes, databases = sorted(map(int, options.sizes.split(","))), options.databases.split(",")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {options.rounds} rounds")
    kept = True
    for database in databases:
        server = own_postgres() if database == "postgresql" else contextlib.nullcontext()
        with server as postgres:
            kept &= show(database, measure(postgres, sizes, options.rounds))
    return 0 if kept else 1


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        sys.exit(main())
