"""What the dearest allowed request of each kind costs a real server: CPU, memory, and what others wait meanwhile.

    python -m benchmarks.bodies [--only TEXT] [--database sqlite|postgresql]

`benchmarks.body_kinds` makes a body for each route that takes one, the page's forms too; a route without any is an
error. They are sent one after another. For each: its bytes, the answer's status and seconds, the CPU seconds of the
server (less those for `/healthz`) and of its children that ended, how much its memory grew at the peak and stayed
grown, and the slowest answer of `/healthz` in between. What the server itself should meet: 1 s of CPU, 100 MiB and
200 ms. Files are parsed by child processes, at low priority and with limits of their own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from starlette.routing import Route

from api.app import create_app
from benchmarks.body_kinds import Body, bodies
from benchmarks.filling import make_history, new_study
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.processes import address_of, hpsearch, running

_CPU_S: Final = 1.0
_MEMORY_MIB: Final = 100
_HEALTH_MS: Final = 200
_BODYLESS: Final = re.compile(
    r"/(pause|resume|stop|cancel|retry-failed|retry|again|drain|enable|disable|delete|revoke|sign-out)$|\{verb\}$"
)
_READS: Final = (
    "/v1/studies/{study_id}/importances",
    "/v1/studies/{study_id}/parallel?limit=5000",
    "/v1/studies/{study_id}/history?max_points=10000",
    "/v1/studies/{study_id}/leaderboard?limit=1000",
    "/v1/studies/{study_id}/timeline?limit=5000",
    "/v1/studies/{study_id}/trials?limit=1000&sort=param.learning_rate",
    "/v1/studies/{study_id}/export?format=parquet",
)


@dataclass(frozen=True)
class Cost:
    """What one request cost.

    Attributes:
        n_bytes: Of its body.
        status: Of the answer; 0 when none came.
        seconds: Until it came.
        cpu_s: Of the server, in all its threads.
        children_s: CPU seconds of its children that ended meanwhile.
        peak_mib: Growth of its memory at the peak.
        kept_mib: Growth that stayed.
        health_ms: Slowest `/healthz` meanwhile.
    """

    n_bytes: int
    status: int
    seconds: float
    cpu_s: float
    children_s: float
    peak_mib: float
    kept_mib: float
    health_ms: float

    @property
    def is_within(self) -> bool:
        """Whether the budget was kept."""
        return self.cpu_s <= _CPU_S and self.peak_mib <= _MEMORY_MIB and self.health_ms <= _HEALTH_MS


class Server:
    """A running server as its clients and the system see it."""

    def __init__(self, url: str, token: str, pid: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port)
        self._token = token
        self._process = psutil.Process(pid)
        self._poll_s = self._cost_of_watching()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of an answer; 0 when the server closed the connection without any."""
        connection = http.client.HTTPConnection(*self._address, timeout=300)
        cookie = f"hpsearch_session_{self._address[1]}={self._token}"
        sent = {"Authorization": f"Bearer {self._token}", "Cookie": cookie, **(headers or {})}
        try:
            connection.request(method, path, body or None, sent)
            response = connection.getresponse()
            return response.status, response.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def measure(self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> Cost:
        """Return what one request costs."""
        time.sleep(0.3)  # what the one before left to do
        memory, before = self._process.memory_info().rss, self._process.cpu_times()
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        with self._watched() as waits:
            started = time.perf_counter()
            status, answer = self.ask(method, path, body, headers)
            seconds = time.perf_counter() - started
        after = self._process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system - self._poll_s * len(waits)
        children_s = after.children_user + after.children_system - before.children_user - before.children_system
        if status == HTTPStatus.CREATED and path == "/v1/studies":
            # What the server does for an open study is not counted for the next request.
            self.ask("POST", f"/v1/studies/{json.loads(answer)['study_id']}/cancel")
        time.sleep(0.2)
        kept = self._process.memory_info().rss
        return Cost(
            len(body),
            status,
            seconds,
            max(0.0, cpu_s),
            children_s,
            (self._peak() - memory) / 2**20,
            (kept - memory) / 2**20,
            max(waits) * 1e3,
        )

    def _cost_of_watching(self) -> float:
        """Return the CPU seconds one look at `/healthz` costs the server."""
        before = self._process.cpu_times()
        with self._watched() as waits:
            time.sleep(5)
        after = self._process.cpu_times()
        spent_s: float = after.user + after.system - before.user - before.system
        return spent_s / len(waits)

    def _peak(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]

    @contextmanager
    def _watched(self) -> Iterator[list[float]]:
        waits, over = [0.0], threading.Event()

        def watch() -> None:
            connection = http.client.HTTPConnection(*self._address, timeout=300)
            while not over.wait(0.02):
                started = time.perf_counter()
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                waits.append(time.perf_counter() - started)
            connection.close()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        time.sleep(0.05)
        waits[:] = [0.0]
        try:
            yield waits
        finally:
            over.set()
            thread.join()


def check_all_routes(known: list[Body]) -> None:
    """Raise when a route that takes a body has none here."""
    with tempfile.TemporaryDirectory() as folder:
        routes = create_app(Settings(data_dir=Path(folder))).routes
    wanted = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and not _BODYLESS.search(route.path)
        for method in (route.methods or set()) & {"POST", "PUT", "PATCH"}
    }
    missing = sorted(wanted - {(body.method, body.path) for body in known})
    if missing:
        msg = f"no body for {missing}: add one to benchmarks/body_kinds.py"
        raise SystemExit(msg)


@contextmanager
def serving(database: str) -> Iterator[tuple[Server, dict[str, str], list[dict[str, Any]]]]:
    """Run a server over a study of 5,000 trials; give it, its ids, and trials a worker holds."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-bodies-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        settings: dict[str, Any] = {"data_dir": folder / "data"}
        if database == "postgresql":
            from tests.postgres import temporary_server

            settings["database_url"] = stack.enter_context(temporary_server(durable=True)).url()
        with closing(Context.open(Settings(**settings))) as context:
            study_id = new_study(context)
            make_history(context, study_id, 5_000, n_epochs=20)
        command = hpsearch("serve", "--port", "0", "--data-dir", str(folder / "data"))
        if "database_url" in settings:
            command += ["--database-url", settings["database_url"]]
        process = stack.enter_context(running(command, folder / "log"))
        url = address_of(folder / "data", process, folder / "log")
        server = Server(url, (folder / "data" / "token").read_text().strip(), process.pid)
        worker = json.loads(server.ask("POST", "/v1/workers", b"{}", {"Content-Type": "application/json"})[1])
        worker_id = worker["worker_id"]
        trials = _claimed(server, worker_id)
        ids = {"study_id": study_id, "worker_id": worker_id, "trial_id": trials[-1]["trial_id"]}
        yield server, ids, trials


def _claimed(server: Server, worker_id: str) -> list[dict[str, Any]]:
    """Return as many trials as there are to claim within some seconds, at most 1,024."""
    trials: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while len(trials) < 1_024 and time.monotonic() < deadline:
        body = {"claim_id": f"c{len(trials)}-{time.monotonic()}", "max_trials": 1_024 - len(trials), "wait_s": 1}
        path = f"/v1/workers/{worker_id}/claims"
        reply = json.loads(server.ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})[1])
        trials += reply["trials"]
    return trials


def main() -> None:
    """Send them all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only those whose name or path holds this text")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    check_all_routes(list(bodies([{"trial_id": "x", "attempt": 1}])))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.database}")
    print(f"{'request':<34} {'what':<40} {'bytes':>10} {'status':>6} {'s':>6} {'CPU s':>6} {'child':>5} "
          f"{'peak MiB':>8} {'kept':>5} {'health ms':>9}")  # fmt: skip
    n_beyond = 0
    with serving(options.database) as (server, ids, trials):
        requests = [
            *((f"{b.method} {b.path}", b.name, b.method, b.path + b.query, b.make, b.headers) for b in bodies(trials)),
            *((f"GET {path.partition('?')[0]}", path.partition("?")[2], "GET", path, bytes, {}) for path in _READS),
        ]
        for route, name, method, path, make, headers in requests:
            if options.only not in f"{route} {name}":
                continue
            cost = server.measure(method, path.format(**ids), make(), headers)
            n_beyond += not cost.is_within
            short = route.replace("{study_id}", "…").replace("{worker_id}", "…").replace("{trial_id}", "…")
            print(f"{short:<34.34} {name:<40.40} {cost.n_bytes:>10,} {cost.status:>6} {cost.seconds:>6.2f} "
                  f"{cost.cpu_s:>6.2f} {cost.children_s:>5.1f} {cost.peak_mib:>8.0f} {cost.kept_mib:>5.0f} "
                  f"{cost.health_ms:>9.0f}{'' if cost.is_within else '  <-- beyond'}", flush=True)  # fmt: skip
    print(f"{n_beyond} beyond {_CPU_S:g} s of CPU, {_MEMORY_MIB} MiB or {_HEALTH_MS} ms")


if __name__ == "__main__":
    main()
