"""Every method sends the request of design, and understands the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hpsearch.client import Client
from hpsearch.client.files import content_digest
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimRequest
from hpsearch.wire.reports import ReportRequest, TrialReport
from hpsearch.wire.studies import StudyPatch
from hpsearch.wire.tokens import TokenRequest
from hpsearch.wire.workers import RegisterRequest
from tests.client.answers import (
    AT,
    DATASET,
    DEFINITION,
    PROFILE,
    ROW,
    S1,
    STUDY,
    T1,
    TOKEN,
    TRIAL,
    WORKER,
    Recorder,
    leaderboard,
    page,
)

REPORT = TrialReport(trial_id=T1, attempt=1, measurements=(Measurement(epoch=1, metrics={"loss": 0.5}),))
POINT = {"n_results": 1, "number": 0, "trial_id": T1, "value": 0.9, "at": AT, "device_seconds": 1.0}
PARALLEL = {"columns": [], "rows": [], "metric": "accuracy", "direction": "maximize", "n_results": 0, "sample": ""}

ROUTES: list[tuple[str, str, Any, Callable[[Client], Any]]] = [
    ("GET", "/v1/datasets?limit=5", page(DATASET), lambda c: c.datasets.list(limit=5)),
    ("GET", "/v1/datasets/d1", DATASET, lambda c: c.datasets.get("d1")),
    ("GET", "/v1/datasets/d1/profile", PROFILE, lambda c: c.datasets.profile("d1")),
    ("DELETE", "/v1/datasets/d1", None, lambda c: c.datasets.delete("d1")),
    ("POST", "/v1/studies", STUDY, lambda c: c.studies.create(DEFINITION)),
    ("POST", "/v1/studies/validate", {"valid": True}, lambda c: c.studies.validate(DEFINITION)),
    ("POST", "/v1/studies/preview", {"valid": True}, lambda c: c.studies.preview(DEFINITION)),
    ("GET", "/v1/studies?state=RUNNING&name=s", page(STUDY), lambda c: c.studies.list(state="RUNNING", name="s")),
    ("GET", f"/v1/studies/{S1}", STUDY, lambda c: c.studies.get(S1)),
    ("PATCH", f"/v1/studies/{S1}", STUDY, lambda c: c.studies.patch(S1, StudyPatch(name="new"))),
    ("DELETE", f"/v1/studies/{S1}", None, lambda c: c.studies.delete(S1)),
    ("POST", f"/v1/studies/{S1}/pause", STUDY, lambda c: c.studies.pause(S1)),
    ("POST", f"/v1/studies/{S1}/resume", STUDY, lambda c: c.studies.resume(S1)),
    ("POST", f"/v1/studies/{S1}/stop", STUDY, lambda c: c.studies.stop(S1)),
    ("POST", f"/v1/studies/{S1}/cancel", STUDY, lambda c: c.studies.cancel(S1)),
    ("POST", f"/v1/studies/{S1}/extend", STUDY, lambda c: c.studies.extend(S1, 200)),
    ("POST", f"/v1/studies/{S1}/retry-failed", {"n_retried": 2}, lambda c: c.studies.retry_failed(S1)),
    ("POST", f"/v1/studies/{S1}/clone", STUDY, lambda c: c.studies.clone(S1, name="again")),
    ("POST", f"/v1/studies/{S1}/trials", TRIAL, lambda c: c.studies.enqueue(S1, {"layers": 1})),
    (
        "GET",
        f"/v1/studies/{S1}/trials?state=COMPLETE&sort=value&order=desc&limit=3",
        page(TRIAL),
        lambda c: c.studies.trials(S1, state="COMPLETE", sort="value", order="desc", limit=3),
    ),
    ("GET", f"/v1/studies/{S1}/running?limit=3", {"items": []}, lambda c: c.studies.running(S1, limit=3)),
    ("GET", f"/v1/studies/{S1}/leaderboard?limit=3", leaderboard(ROW), lambda c: c.studies.leaderboard(S1, limit=3)),
    ("GET", f"/v1/studies/{S1}/history?limit=1000", page(POINT), lambda c: c.studies.history(S1)),
    (
        "GET",
        f"/v1/studies/{S1}/history?improvements=true&max_points=100",
        page(POINT),
        lambda c: c.studies.history(S1, improvements=True, max_points=100),
    ),
    ("GET", f"/v1/studies/{S1}/importances", {"n_results": 0}, lambda c: c.studies.importances(S1)),
    ("GET", f"/v1/studies/{S1}/parallel?limit=10", PARALLEL, lambda c: c.studies.parallel(S1, limit=10)),
    ("GET", f"/v1/studies/{S1}/timeline", {"items": [], "n_trials": 0}, lambda c: c.studies.timeline(S1)),
    ("GET", f"/v1/trials/{T1}", TRIAL, lambda c: c.trials.get(T1)),
    (
        "GET",
        f"/v1/trials/{T1}/measurements?attempt=2",
        page({"attempt": 2, "epoch": 1, "metrics": {"loss": None}}),
        lambda c: c.trials.measurements(T1, attempt=2),
    ),
    ("POST", f"/v1/trials/{T1}/stop", TRIAL, lambda c: c.trials.stop(T1)),
    ("POST", f"/v1/trials/{T1}/retry", TRIAL, lambda c: c.trials.retry(T1)),
    (
        "POST",
        "/v1/workers",
        {"worker_id": "w1", "heartbeat_s": 1, "lease_s": 6},
        lambda c: c.workers.register(RegisterRequest(name="host")),
    ),
    (
        "POST",
        "/v1/workers/w1/claims",
        {"lease_s": 6},
        lambda c: c.workers.claim("w1", ClaimRequest(claim_id="c", max_trials=2, wait_s=1.0)),
    ),
    (
        "POST",
        "/v1/workers/w1/reports",
        {"results": [{"trial_id": T1, "status": "accepted", "action": "continue"}], "lease_s": 6},
        lambda c: c.workers.report("w1", ReportRequest(reports=(REPORT,))),
    ),
    ("GET", "/v1/workers?limit=2", page(WORKER), lambda c: c.workers.list(limit=2)),
    ("GET", "/v1/workers/w1", WORKER, lambda c: c.workers.get("w1")),
    ("POST", "/v1/workers/w1/drain", WORKER, lambda c: c.workers.drain("w1")),
    ("POST", "/v1/workers/w1/enable", WORKER, lambda c: c.workers.enable("w1")),
    ("POST", "/v1/workers/w1/disable", WORKER, lambda c: c.workers.disable("w1")),
    (
        "POST",
        "/v1/tokens",
        TOKEN | {"token": "hps_k1_x"},
        lambda c: c.tokens.create(TokenRequest(name="lab", scopes=("worker",))),
    ),
    ("GET", "/v1/tokens", page(TOKEN), lambda c: c.tokens.list()),
    ("DELETE", "/v1/tokens/k1", None, lambda c: c.tokens.revoke("k1")),
]


@pytest.mark.parametrize(("verb", "target", "answer", "call"), ROUTES, ids=[f"{r[0]} {r[1]}" for r in ROUTES])
def test_every_route(verb: str, target: str, answer: Any, call: Callable[[Client], Any]):
    recorder = Recorder(lambda _r: httpx2.Response(204) if answer is None else httpx2.Response(200, json=answer))
    with recorder.client() as client:
        value = call(client)
    request = recorder.last
    assert request.method == verb
    assert request.url.raw_path.decode() == target
    assert request.headers["Authorization"] == "Bearer hps_a_b"
    assert request.headers["User-Agent"].startswith("hpsearch/")
    assert (value is None) == (answer is None)


def test_bodies_hold_what_was_meant_and_nothing_more():
    recorder = Recorder(STUDY)
    with recorder.client() as client:
        client.studies.create(StudyDefinition.model_validate(DEFINITION), idempotency_key="once")
        sent = StudyDefinition.model_validate(recorder.body)
        assert sent == StudyDefinition.model_validate(DEFINITION)
        assert "budget" not in recorder.body
        assert recorder.last.headers["Idempotency-Key"] == "once"
        client.studies.patch(S1, StudyPatch(priority=3))
        assert recorder.body == {"priority": 3}
        client.studies.extend(S1, 200)
        assert recorder.body == {"max_trials": 200}
        client.studies.clone(S1)
        assert recorder.body == {}


def test_reports_survive_the_journey():
    answer = {"results": [{"trial_id": T1, "status": "replayed", "action": "stop", "new": 1}], "lease_s": 6}
    recorder = Recorder(answer)
    report = REPORT.model_copy(update={"outcome": Outcome(state="COMPLETE", value=0.1 + 0.2, metrics={"loss": None})})
    with recorder.client() as client:
        reply = client.workers.report("w1", ReportRequest(reports=(report,)))
    assert ReportRequest.model_validate_json(recorder.last.content).reports == (report,)
    assert reply.results[0].status == "replayed"


def test_ids_can_not_leave_their_place_in_the_path():
    recorder = Recorder(DATASET)
    with recorder.client() as client:
        client.datasets.get("../../v1/tokens?x=#y")
        assert recorder.last.url.raw_path == b"/v1/datasets/..%2F..%2Fv1%2Ftokens%3Fx%3D%23y"


def test_pages_are_walked_to_the_end():
    pages = {"": leaderboard(ROW, token="a/b+c"), "a/b+c": leaderboard(ROW | {"rank": 2})}
    recorder = Recorder(lambda r: httpx2.Response(200, json=pages[r.url.params.get("page_token", "")]))
    with recorder.client() as client:
        assert [row.rank for row in client.studies.leaderboard_rows(S1)] == [1, 2]


def test_an_unchanged_leaderboard_is_the_same_object():
    tags = iter(['"1"', '"1"', '"2"'])

    def answer(request: httpx2.Request) -> httpx2.Response:
        tag = next(tags)
        if request.headers.get("If-None-Match") == tag:
            return httpx2.Response(304, headers={"ETag": tag})
        return httpx2.Response(200, json=leaderboard(ROW), headers={"ETag": tag})

    recorder = Recorder(answer)
    with recorder.client() as client:
        first, second, third = (client.studies.leaderboard(S1) for _ in range(3))
    assert second is first
    assert third is not first
    assert [r.headers.get("If-None-Match") for r in recorder.requests] == [None, '"1"', '"1"']


def test_uploads_are_multipart(tmp_path: Path):
    (tmp_path / "my data.csv").write_bytes(b"x,y\n1,0\n")
    recorder = Recorder(DATASET)
    with recorder.client() as client:
        made = client.datasets.upload(tmp_path / "my data.csv", target="y")
    assert made.dataset_id == "d1"
    assert recorder.last.headers["Content-Type"].startswith("multipart/form-data")
    for part in (b'name="name"\r\n\r\nmy data', b'name="target"\r\n\r\ny', b'filename="my data.csv"', b"x,y\n1,0\n"):
        assert part in recorder.last.content


def test_models_are_uploaded_with_their_digest(tmp_path: Path):
    (tmp_path / "m.keras").write_bytes(b"model")
    recorder = Recorder({"trial_id": T1})
    with recorder.client() as client:
        client.workers.upload_model("w1", T1, 3, tmp_path / "m.keras")
    request = recorder.last
    assert request.method == "PUT"
    assert request.url.raw_path == f"/v1/workers/w1/trials/{T1}/model?attempt=3".encode()
    assert request.content == b"model"
    assert request.headers["Content-Length"] == "5"
    assert request.headers["Content-Digest"] == content_digest(hashlib.sha256(b"model").digest())


def test_readiness_never_raises():
    with Recorder({"ready": True}).client(token=None) as client:
        assert client.ready()
    with Recorder({}, status=503).client() as client:
        assert not client.ready()
