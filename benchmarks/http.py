"""Requests per second of the queue over HTTP: claim + 3 heartbeats + complete, 8 clients, one server process.

    python -m benchmarks.http [--seconds 20] [--clients 8] [--database sqlite|postgresql|both] [--repeats 1]

The server is the real one (`hpsearch serve`): tokens checked, event log on, SQLite with synchronous=FULL, PostgreSQL
with its defaults: every commit waits for the disk. The clients are processes with plain http.client connections that
are kept open, so that the figures are the server's and not the client library's; both share the machine's cores.
PostgreSQL is the one the tests use. There, in turn, a server that keeps no promise is measured, too
(`benchmarks.plain_server`): the ratio says what ours cost, whatever the machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from urllib.parse import urlsplit

from hpsearch.cli.stopping import stop_signals
from hpsearch.client import Client
from hpsearch.domain.study import StudyDefinition

STUDY = {
    "name": "benchmark",
    "dataset": {"builtin": "iris"},
    "space": {"layers": 1, "units": 8, "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True}},
    "algorithm": {"kind": "random", "seed": 0},
    "budget": {"max_trials": 1_000_000},
    "parallelism": 512,
    "baselines": False,
    "refit": "off",
}
KINDS = ("claim", "heartbeat", "complete")


@dataclass
class Tally:
    """What one client measured: milliseconds of each request, by kind, what was not 200, and the seconds it worked."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    seconds: float = 0.0
    errors: int = 0
    empty_claims: int = 0


class Connection:
    """One kept-open connection with a token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: object) -> tuple[int, dict[str, object], float]:
        """Return status, reply and milliseconds."""
        start = time.perf_counter()
        self._http.request("POST", path, json.dumps(body), self._headers)
        response = self._http.getresponse()
        raw = response.read()
        elapsed = (time.perf_counter() - start) * 1e3
        return response.status, json.loads(raw), elapsed


def client(url: str, token: str, seconds: float, start: Barrier, results: multiprocessing.Queue[Tally]) -> None:
    """Wait for the others, then claim, beat and complete until the time is over."""
    connection, tally = Connection(url, token), Tally()
    worker = connection.post("/v1/workers", {"name": "benchmark"})[1]["worker_id"]
    start.wait()
    began = time.perf_counter()
    n = 0
    while time.perf_counter() - began < seconds:
        n += 1
        claim = {"claim_id": f"{worker}-{n}", "max_trials": 1, "wait_s": 1}
        status, reply, elapsed = connection.post(f"/v1/workers/{worker}/claims", claim)
        tally.errors += status != 200
        trials = reply.get("trials") or []
        if not trials:
            tally.empty_claims += 1
            continue
        tally.milliseconds["claim"].append(elapsed)
        trial = {"trial_id": trials[0]["trial_id"], "attempt": trials[0]["attempt"]}  # type: ignore[index]
        for epoch in (1, 2, 3):
            metrics = {"accuracy": 0.5 + epoch / 10, "loss": 1.0 / epoch, "train_loss": 1.1 / epoch}
            report = {**trial, "measurements": [{"epoch": epoch, "metrics": metrics}]}
            status, _, elapsed = connection.post(f"/v1/workers/{worker}/reports", {"reports": [report]})
            tally.errors += status != 200
            tally.milliseconds["heartbeat"].append(elapsed)
        outcome = {"state": "COMPLETE", "value": 0.8, "metrics": {"accuracy": 0.8}, "best_epoch": 3, "epochs": 3}
        status, _, elapsed = connection.post(
            f"/v1/workers/{worker}/reports", {"reports": [{**trial, "outcome": outcome}]}
        )
        tally.errors += status != 200
        tally.milliseconds["complete"].append(elapsed)
    tally.seconds = time.perf_counter() - began
    results.put(tally)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is deleted at the end; a server that was killed may still be writing."""
    return tempfile.TemporaryDirectory(prefix="hpsearch-benchmark-", ignore_cleanup_errors=True)


@contextmanager
def served(database_url: str | None) -> Iterator[tuple[str, str]]:
    """Run `hpsearch serve` in a fresh data directory and yield its address and token."""
    with temporary_folder() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "hpsearch.cli", "serve", "--port", "0", "--data-dir", str(folder)]
        if database_url is not None:
            command += ["--database-url", database_url]
        with running(command, folder, folder / "server.json"):
            url = json.loads((folder / "server.json").read_text())["url"]
            yield url, (folder / "token").read_text().strip()


@contextmanager
def plainly_served(database_url: str) -> Iterator[str]:
    """Run the plain server and yield its address."""
    with temporary_folder() as name:
        folder = Path(name)
        address = folder / "address"
        command = [sys.executable, "-m", "benchmarks.plain_server", database_url, str(address)]
        with running(command, folder, address):
            yield address.read_text()


@contextmanager
def running(command: list[str], folder: Path, announced: Path) -> Iterator[None]:
    """Run a server, from when it has written a file on."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not announced.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(url: str, token: str, *, clients: int, seconds: float) -> Tally:
    """Return the figures of clients of a fresh study."""
    with Client(url, token) as api:
        api.studies.create(StudyDefinition.model_validate(STUDY))
    return together(url, token, clients=clients, seconds=seconds)


def together(url: str, token: str, *, clients: int, seconds: float) -> Tally:
    """Return all clients' figures together; they begin at once, when the last of them has started."""
    queue: multiprocessing.Queue[Tally] = multiprocessing.Queue()
    start = multiprocessing.Barrier(clients)
    processes = [
        multiprocessing.Process(target=client, args=(url, token, seconds, start, queue)) for _ in range(clients)
    ]
    for process in processes:
        process.start()
    total = Tally()
    for _ in processes:
        one = queue.get()
        total.errors += one.errors
        total.empty_claims += one.empty_claims
        total.seconds = max(total.seconds, one.seconds)
        for kind in KINDS:
            total.milliseconds[kind] += one.milliseconds[kind]
    for process in processes:
        process.join()
    return total


def report(name: str, total: Tally) -> float:
    """Print one server's figures and return its requests per second."""
    n = sum(len(values) for values in total.milliseconds.values())
    n_trials = len(total.milliseconds["complete"])
    print(f"\n{name}: {n / total.seconds:.0f} requests/s, {n_trials / total.seconds:.0f} trials/s, "
          f"{total.errors} errors, {total.empty_claims} empty claims")  # fmt: skip
    print(f"  {'request':<10} {'count':>8} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8}")
    for kind in KINDS:
        values = total.milliseconds[kind]
        figures = " ".join(f"{quantile(values, share):8.1f}" for share in (0.5, 0.9, 0.99))
        print(f"  {kind:<10} {len(values):>8} {figures}", flush=True)
    return n / total.seconds


def compare_on_postgresql(*, clients: int, seconds: float) -> float:
    """Measure the plain server and the real one, each on a PostgreSQL of its own, and return real / plain."""
    from tests.postgres import temporary_server

    with temporary_server(durable=True) as postgres, plainly_served(postgres.url()) as url:
        plain = report("PostgreSQL (fsync), a plain server", together(url, "-", clients=clients, seconds=seconds))
    with temporary_server(durable=True) as postgres, served(postgres.url()) as (url, token):
        real = report("PostgreSQL (fsync)", measure(url, token, clients=clients, seconds=seconds))
    print(f"  {real / plain:.2f} times the plain server's", flush=True)
    return real / plain


def main() -> None:
    """Measure the chosen databases and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"{options.clients} clients, {options.seconds:g} s each")  # fmt: skip
    load = {"clients": options.clients, "seconds": options.seconds}
    ratios = []
    for _ in range(options.repeats):
        if options.database in ("sqlite", "both"):
            with served(None) as (url, token):
                report("SQLite (WAL, FULL)", measure(url, token, **load))
        if options.database in ("postgresql", "both"):
            ratios.append(compare_on_postgresql(**load))
    if len(ratios) > 1:
        print(f"\nPostgreSQL: {statistics.median(ratios):.2f} times the plain server's (median of {len(ratios)})")


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        main()
