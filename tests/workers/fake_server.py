"""A small server of the worker routes, in threads of the test: real HTTP, real fencing, faults on request."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.study import Split
from hpsearch.domain.training import Training
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, ClaimReply, ClaimRequest, StudyBrief
from hpsearch.wire.reports import ReportReply, ReportRequest, ReportResult, TrialReport
from hpsearch.wire.workers import RegisterReply, RegisterRequest

TOKEN = "hps_test_secret"
CONTENT = b"PAR1 not really a table: the stub engine never opens it PAR1"
PROFILE = DatasetProfile(
    n_rows=4,
    columns=(Column(name="x0", kind=ColumnKind.REAL),),
    target="y",
    task="multiclass",
    classes=("a", "b"),
    class_counts=(2, 2),
)


@dataclass
class FakeTrial:
    """One trial as the fake server sees it."""

    trial_id: str
    params: dict[str, Any]
    kind: TrialKind = TrialKind.SEARCH
    attempt: int = 0
    state: str = "WAITING"
    worker_id: str = ""
    outcome: Outcome | None = None
    endings: list[tuple[int, Outcome]] = field(default_factory=list)
    measurements: list[tuple[int, Measurement]] = field(default_factory=list)
    model: bytes | None = None
    is_stopped: bool = False
    claimed_s: float = 0.0
    heard_s: list[float] = field(default_factory=list)
    epochs_at_s: list[float] = field(default_factory=list)
    alone: bool = False


class Answer(Exception):  # noqa: N818 - an answer, not an error
    """Answer a request at once with this."""

    def __init__(self, status: int, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.headers = headers or {}


def problem(status: int, code: str, detail: str = "no", **extra: Any) -> Answer:
    """Return a problem document as an answer."""
    return Answer(status, {"status": status, "code": code, "detail": detail, **extra})


class FakeServer:
    """One study over a stub data set.

    Attributes:
        interrupt: Called with verb and path before each request; may raise an `Answer` or sleep.
        requests: Verb and path of every request, in order.
        report_bodies: Every report request's body, in order.
        claim_bodies: Every claim request's body, in order.
        hears_slots: What it says when a worker registers.
        hears_stage: Likewise.
        content_takes_s: Seconds until it sends the data.
    """

    def __init__(self, *, heartbeat_s: float = 0.5, metric: str = "accuracy") -> None:
        self.lock = threading.RLock()
        self.trials: dict[str, FakeTrial] = {}
        self.workers: dict[str, RegisterRequest] = {}
        self.claims: dict[str, list[tuple[str, int]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.report_bodies: list[bytes] = []
        self.thresholds: dict[str, float] = {}
        self.content = CONTENT
        self.heartbeat_s = heartbeat_s
        self.paused = False
        self.hears_slots = True
        self.hears_stage = True
        self.content_takes_s = 0.0
        self.claim_bodies: list[bytes] = []
        self.interrupt: Callable[[str, str], None] = lambda _verb, _path: None
        self.study = StudyBrief(
            study_id="study-1",
            name="stub study",
            dataset_id="data-1",
            dataset_digest=hashlib.sha256(CONTENT).hexdigest(),
            task="multiclass",
            split=Split(),
            metric=metric,
            direction=direction_of(metric),
            training=Training(),
            data_order_seed=0,
        )
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            wbufsize = 1 << 16  # head and body in one packet

            def do_GET(self) -> None:
                server.handle(self)

            do_POST = do_PUT = do_GET  # noqa: N815

            def log_message(self, *_arguments: Any) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments: Any) -> None:
                pass  # clients that vanish are part of the test

        self._http = Http(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()

    def add(self, n: int = 1, **fields: Any) -> list[FakeTrial]:
        """Add waiting trials."""
        with self.lock:
            added = []
            for _ in range(n):
                number = len(self.trials)
                trial = FakeTrial(f"trial-{number}", fields.get("params", {"units": number}))
                trial.kind = fields.get("kind", TrialKind.SEARCH)
                self.trials[trial.trial_id] = trial
                added.append(trial)
            return added

    def is_done(self) -> bool:
        with self.lock:
            return bool(self.trials) and all(t.state not in ("WAITING", "RUNNING") for t in self.trials.values())

    def states(self) -> list[str]:
        with self.lock:
            return [trial.state for trial in self.trials.values()]

    def n(self, verb: str, part: str) -> int:
        """Return how many requests of that verb had that part in their path."""
        with self.lock:
            return sum(v == verb and part in p for v, p in self.requests)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        answer = Answer(404, {"code": "not_found", "detail": "no such route"})
        with self.lock:
            self.requests.append((handler.command, handler.path))
        try:
            if self._http is None:  # stopped: connections that were kept open are cut as well
                raise Answer(0)  # noqa: TRY301
            self.interrupt(handler.command, handler.path)
            self._check_token(handler)
            self._route(handler, body)
        except Answer as given:
            answer = given
        if answer.status == 0:  # cut the connection
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        kind = "application/problem+json" if answer.status >= 400 else "application/json"
        for name, value in ({"Content-Type": kind} | answer.headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _check_token(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise problem(401, "auth.required", "this token is not valid")

    def _route(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        url = urlsplit(handler.path)
        route = (handler.command, *url.path.strip("/").split("/")[1:])
        match route:
            case ("POST", "workers"):
                raise self._register(body)
            case ("POST", "workers", worker_id, "claims"):
                self.claim_bodies.append(body)
                raise self._claim(worker_id, ClaimRequest.model_validate_json(body))
            case ("POST", "workers", worker_id, "reports"):
                raise self._report(worker_id, body)
            case ("PUT", "workers", _, "trials", trial_id, "model"):
                raise self._model(trial_id, int(parse_qs(url.query)["attempt"][0]), body, handler)
            case ("GET", "datasets", "data-1", "profile"):
                raise Answer(200, PROFILE.model_dump_json().encode())
            case ("GET", "datasets", "data-1", "content"):
                time.sleep(self.content_takes_s)
                raise Answer(200, self.content, _digest(self.content))

    def _register(self, body: bytes) -> Answer:
        with self.lock:
            worker_id = f"worker-{len(self.workers)}"
            self.workers[worker_id] = RegisterRequest.model_validate_json(body)
            reply = RegisterReply(
                worker_id=worker_id,
                heartbeat_s=self.heartbeat_s,
                lease_s=6.0,
                hears_slots=self.hears_slots,
                hears_stage=self.hears_stage,
            )
        return Answer(201, reply.model_dump_json().encode())

    def _claim(self, worker_id: str, request: ClaimRequest) -> Answer:
        deadline_s = time.monotonic() + min(request.wait_s, 0.5)
        while True:
            with self.lock:
                if worker_id not in self.workers:
                    return problem(404, "worker.not_found")
                given = self._given(worker_id, request)
            if given or time.monotonic() > deadline_s:
                break
            time.sleep(0.02)
        claimed = tuple(
            ClaimedTrial(
                trial_id=t.trial_id,
                study_id="study-1",
                number=int(t.trial_id.split("-")[1]),
                kind=t.kind,
                attempt=t.attempt,
                params=t.params,
                seed=1,
                alone=t.alone,
            )
            for t in given
        )
        studies = {"study-1": self.study} if claimed else {}
        reply = ClaimReply(trials=claimed, studies=studies, lease_s=6.0, model_thresholds=self.thresholds)
        return Answer(200, reply.model_dump_json().encode())

    def _given(self, worker_id: str, request: ClaimRequest) -> list[FakeTrial]:
        if request.claim_id in self.claims:
            return [self.trials[trial_id] for trial_id, _ in self.claims[request.claim_id]]
        given = []
        for trial in self.trials.values():
            if trial.state == "WAITING" and len(given) < request.max_trials and not self.paused:
                trial.state, trial.attempt, trial.worker_id = "RUNNING", trial.attempt + 1, worker_id
                trial.claimed_s = time.monotonic()
                given.append(trial)
        if given:
            self.claims[request.claim_id] = [(t.trial_id, t.attempt) for t in given]
        return given

    def _report(self, worker_id: str, body: bytes) -> Answer:
        request = ReportRequest.model_validate_json(body)
        with self.lock:
            if worker_id not in self.workers:
                return problem(404, "worker.not_found")
            self.report_bodies.append(body)
            results = tuple(self._judge(report) for report in request.reports)
            reply = ReportReply(results=results, lease_s=6.0, model_thresholds=self.thresholds)
        if len(results) == 1 and results[0].status in ("stale_attempt", "result_conflict"):
            return problem(409, f"trial.{results[0].status}", "stale", **reply.model_dump())
        if len(results) == 1 and results[0].status == "invalid":
            return problem(422, "report.invalid", "bad value", **reply.model_dump())
        return Answer(200, reply.model_dump_json().encode())

    def _judge(self, report: TrialReport) -> ReportResult:
        trial = self.trials[report.trial_id]
        trial.heard_s.append(time.monotonic())
        if (report.attempt, report.outcome) in trial.endings:
            return ReportResult(trial_id=trial.trial_id, status="replayed", action="stop")
        if report.attempt != trial.attempt or trial.state != "RUNNING":
            return ReportResult(trial_id=trial.trial_id, status="stale_attempt", action="stop")
        if report.outcome is not None and report.outcome.value is not None and trial.params.get("refuse"):
            return ReportResult(trial_id=trial.trial_id, status="invalid", action="continue", detail="bad value")
        known = {m.epoch for attempt, m in trial.measurements if attempt == report.attempt}
        trial.measurements += [(report.attempt, m) for m in report.measurements if m.epoch not in known]
        trial.epochs_at_s += [time.monotonic()] * len(report.measurements)
        if report.outcome is not None:
            trial.endings.append((report.attempt, report.outcome))
            trial.state = "WAITING" if report.outcome.state == "RELEASED" else report.outcome.state
            trial.outcome = report.outcome
            # As the real one does: a worker that gives back gets nothing for a while.
            self.paused = self.paused or report.outcome.state == "RELEASED"
        action = "stop" if trial.is_stopped else "continue"
        if trial.is_stopped:
            trial.state = "CANCELLED"
        return ReportResult(trial_id=trial.trial_id, status="accepted", action=action)

    def _model(self, trial_id: str, attempt: int, body: bytes, handler: BaseHTTPRequestHandler) -> Answer:
        with self.lock:
            trial = self.trials[trial_id]
            if trial.attempt != attempt or trial.state != "RUNNING":
                return problem(409, "trial.stale_attempt")
            assert handler.headers["Content-Digest"] == _digest(body)["Content-Digest"]
            trial.model = body
        return Answer(200, {"trial_id": trial_id})


def _digest(content: bytes) -> dict[str, str]:
    value = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"Content-Digest": f"sha-256=:{value}:"}


def epochs_of(trial: FakeTrial, attempt: int) -> list[int]:
    """Return the epochs reported in one attempt, in order of arrival."""
    return [m.epoch for a, m in trial.measurements if a == attempt]
