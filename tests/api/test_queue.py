"""Claiming, reporting and delivering models over HTTP; over both databases."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from typing import Any

import httpx2
import pytest

from api.limits.concurrency_limit import ConcurrencyLimit
from hpsearch.service.queue import reports
from tests.api.conftest import InProcessApi, Live, Worker, create_study, ending, eventually
from tests.content.damage import damage


def test_reports_of_one_trial_answer_with_a_status(service: InProcessApi) -> None:
    create_study(service.client, service.admin)
    worker = Worker.register(service.client, service.headers["worker"])
    (trial,) = worker.claim()
    beat = {"trial_id": trial["trial_id"], "attempt": trial["attempt"]}

    renewed = worker.report(beat)
    assert renewed.status_code == 200
    assert renewed.json()["results"][0] | {"detail": None} == {
        "trial_id": trial["trial_id"],
        "status": "accepted",
        "action": "continue",
        "detail": None,
    }
    early = worker.report(beat | {"attempt": trial["attempt"] + 1})
    assert early.status_code == 409
    assert early.json()["code"] == "trial.stale_attempt"
    assert early.json()["results"][0]["status"] == "stale_attempt"
    assert early.json()["lease_s"] > 0

    first = worker.report(ending(trial))
    again = worker.report(ending(trial))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["results"][0]["status"] == "replayed"
    other = worker.report(ending(trial, value=0.1))
    assert other.status_code == 409
    assert other.json()["code"] == "trial.result_conflict"
    assert other.headers["Content-Type"] == "application/problem+json"

    batch = worker.report(beat, {"trial_id": "unknown", "attempt": 1})
    assert batch.status_code == 200
    assert [result["status"] for result in batch.json()["results"]] == ["stale_attempt", "not_found"]
    assert worker.report({"trial_id": "unknown", "attempt": 1}).status_code == 404


def test_another_workers_attempt_is_forbidden(local: InProcessApi) -> None:
    create_study(local.client, local.admin)
    mine = Worker.register(local.client, local.headers["worker"])
    theirs = Worker.register(local.client, local.headers["worker"])
    (trial,) = mine.claim()
    refused = theirs.report(ending(trial))
    assert refused.status_code == 403
    assert refused.json()["code"] == "trial.foreign"
    assert theirs.deliver(trial, b"model").status_code == 403
    assert mine.report(ending(trial)).status_code == 200


def test_values_that_can_not_be_are_refused(local: InProcessApi) -> None:
    create_study(local.client, local.admin)
    worker = Worker.register(local.client, local.headers["worker"])
    (trial,) = worker.claim()
    assert worker.report(ending(trial, value=7.0)).status_code == 422
    assert worker.report(ending(trial, epochs=10**7)).status_code == 422
    beyond = {"trial_id": trial["trial_id"], "attempt": 1, "measurements": [{"epoch": 10**7, "metrics": {}}]}
    assert worker.report(beyond).status_code == 422
    assert worker.report(ending(trial)).status_code == 200


def test_the_same_claim_gives_the_same_trials(local: InProcessApi) -> None:
    create_study(local.client, local.admin)
    worker = Worker.register(local.client, local.headers["worker"])
    body = {"claim_id": "one", "max_trials": 2}
    path = f"/v1/workers/{worker.worker_id}/claims"
    first = local.client.post(path, json=body, headers=worker.headers)
    again = local.client.post(path, json=body, headers=worker.headers)
    assert first.content == again.content
    assert len(first.json()["trials"]) == 2
    assert set(first.json()["studies"]) == {trial["study_id"] for trial in first.json()["trials"]}


def test_the_fleet(local: InProcessApi) -> None:
    create_study(local.client, local.admin)
    worker = Worker.register(local.client, local.headers["worker"])
    path = f"/v1/workers/{worker.worker_id}"
    assert local.client.post(f"{path}/drain", headers=local.admin).json()["state"] == "DRAINING"
    assert worker.claim() == []
    assert local.client.post(f"{path}/disable", headers=local.admin).json()["state"] == "DISABLED"
    assert local.client.post(f"{path}/enable", headers=local.admin).json()["state"] == "ACTIVE"
    assert len(worker.claim()) == 1
    assert local.client.get(path, headers=local.headers["read"]).json()["n_running"] == 1
    listed = local.client.get("/v1/workers", headers=local.headers["read"]).json()["items"]
    assert [item["worker_id"] for item in listed] == [worker.worker_id]


def test_models_travel_whole(service: InProcessApi) -> None:
    read = service.headers["read"]
    study_id = create_study(service.client, service.admin)
    worker = Worker.register(service.client, service.headers["worker"])
    assert service.client.get(f"/v1/studies/{study_id}/model", headers=read).status_code == 404
    done = worker.finish(4, model=b"model of ")
    best = b"model of 3"
    for path in (f"/v1/studies/{study_id}/model", f"/v1/trials/{done[3]['trial_id']}/model"):
        answer = service.client.get(path, headers=read | {"Range": "bytes=0-1," * 10_000 + "2-3"})
        assert answer.status_code == 200
        assert answer.content == best
        digest = hashlib.sha256(best)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        assert answer.headers["Content-Disposition"].endswith('.keras"')
        assert answer.headers["Content-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        assert answer.headers["X-Content-SHA256"] == digest.hexdigest()
        same = service.client.get(path, headers=read | {"If-None-Match": answer.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
    damage(service.context.content, best)
    altered = service.client.get(f"/v1/studies/{study_id}/model", headers=read)
    assert altered.status_code == 409
    assert altered.json()["code"] == "blob.digest_mismatch"


def test_models_that_are_not_taken(local: InProcessApi) -> None:
    create_study(local.client, local.admin)
    worker = Worker.register(local.client, local.headers["worker"])
    (trial,) = worker.claim()
    wrong = hashlib.sha256(b"other").hexdigest()
    assert worker.deliver(trial, b"model", **{"X-Content-SHA256": wrong}).json()["code"] == "digest.mismatch"
    assert worker.deliver(trial, b"model", **{"X-Content-SHA256": "xyz"}).json()["code"] == "digest.missing"
    assert worker.deliver(trial, b"model", **{"X-Other": "x"}).status_code == 422
    assert worker.deliver(trial, b"").status_code == 422
    assert worker.deliver(trial | {"attempt": 2}, b"model").status_code == 409
    assert worker.deliver(trial | {"attempt": 0}, b"model").status_code == 422
    assert worker.deliver(trial | {"trial_id": "unknown"}, b"model").status_code == 404
    huge = {"X-Content-SHA256": wrong, "Content-Length": str(2**41)}
    assert worker.deliver(trial, b"model", **huge).status_code == 413
    digest = base64.b64encode(hashlib.sha256(b"model").digest()).decode()
    kept = worker.deliver(trial, b"model", **{"Content-Digest": f"sha-256=:{digest}:"})
    assert kept.status_code == 200
    assert kept.json()["digest"] == hashlib.sha256(b"model").hexdigest()
    assert worker.deliver(trial, b"model").status_code == 200
    assert list(local.context.content.new_temporary().parent.iterdir()) == []


def test_a_long_poll_wakes_when_work_comes(live: Live) -> None:
    with live.client() as client:
        create_study(client, {}, name="warm")  # loads the data set
        worker = Worker.register(client, {})
        while worker.claim(100):
            pass
        found: list[tuple[list[Any], float]] = []

        def wait() -> None:
            with live.client() as another:
                waiter = Worker(another, {}, worker.worker_id, n_claims=1000)
                begun = time.monotonic()
                found.append((waiter.claim(wait_s=20), time.monotonic() - begun))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        assert not found
        create_study(client, {})
        thread.join(10)
    trials, waited_s = found[0]
    assert len(trials) == 1
    assert waited_s < 3


def test_a_long_poll_ends_empty_in_time(live: Live) -> None:
    with live.client() as client:
        worker = Worker.register(client, {})
        begun = time.monotonic()
        assert worker.claim(wait_s=0.7) == []
        assert 0.6 < time.monotonic() - begun < 3


def test_a_client_that_left_gets_no_trials(live: Live) -> None:
    with live.client() as client:
        create_study(client, {}, name="warm")
        worker = Worker.register(client, {})
        while worker.claim(100):
            pass
        path, body = f"/v1/workers/{worker.worker_id}/claims", {"claim_id": "gone", "wait_s": 20.0}
        with live.client() as hasty, pytest.raises(httpx2.ReadTimeout):
            hasty.post(path, json=body, timeout=0.5)
        time.sleep(0.5)
        study_id = create_study(client, {}, algorithm={"kind": "grid"}, space={"units": {"values": [1, 2, 3]}})
        time.sleep(1.0)
        counts = client.get(f"/v1/studies/{study_id}").json()["counts"]
        assert counts["RUNNING"] == 0
        eventually(lambda: len(worker.claim(1)) == 1)


def test_a_client_that_leaves_while_it_waits_for_its_turn_gets_no_trials(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, real = threading.Event(), reports.report
    monkeypatch.setattr(reports, "report", lambda *given: real(*given) if go_on.wait(20) else None)
    live.app.state.shared.concurrency_limit = ConcurrencyLimit(1, max_wait_s=60)
    with live.client() as client, live.client() as other, live.client() as hasty:
        worker = Worker.register(client, {})
        path, body = f"/v1/workers/{worker.worker_id}/claims", {"claim_id": "gone", "wait_s": 20.0}

        def leave() -> None:
            with pytest.raises(httpx2.ReadTimeout):
                hasty.post(path, json=body, timeout=2.0)

        leaving = threading.Thread(target=leave)
        leaving.start()
        time.sleep(0.5)  # it has asked once, and waits for work
        inside = threading.Thread(
            target=Worker(other, {}, worker.worker_id).report, args=({"trial_id": "x", "attempt": 1},)
        )
        inside.start()
        time.sleep(0.3)
        study_id = create_study(client, {}, algorithm={"kind": "grid"}, space={"units": {"values": [1, 2, 3]}})
        leaving.join()
        time.sleep(0.3)
        go_on.set()
        inside.join()
        time.sleep(0.7)
        assert client.get(f"/v1/studies/{study_id}").json()["counts"]["RUNNING"] == 0
        eventually(lambda: len(worker.claim(1)) == 1)
