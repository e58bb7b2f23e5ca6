"""The queue's promises as they read on the wire: single refusals, batches, repetitions long after, truncated bodies."""

from __future__ import annotations

import socket
import sqlite3
from typing import Any

import psycopg
import pytest

from tests.api.conftest import InProcessApi, Live, Worker, create_study, ending, eventually, raw_request


def outcome(state: str, **more: Any) -> dict[str, Any]:
    return {"outcome": {"state": state, **more}}


def current(trial: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"trial_id": trial["trial_id"], "attempt": trial["attempt"], **more}


def get_trial(shared_api: InProcessApi, trial: dict[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = shared_api.client.get(f"/v1/trials/{trial['trial_id']}", headers=shared_api.admin).json()
    return view


def steer(shared_api: InProcessApi, study_id: str, verb: str) -> int:
    return shared_api.client.post(f"/v1/studies/{study_id}/{verb}", headers=shared_api.admin).status_code


@pytest.mark.parametrize("later", ["ended", "stopped", "retried", "deleted"])
def test_a_completion_is_replayed_whatever_became_of_its_study(service: InProcessApi, later: str) -> None:
    study_id = create_study(service.client, service.admin, budget={"max_trials": 2})
    worker = Worker.register(service.client, service.headers["worker"])
    first, second = worker.claim(2)
    done, failed = ending(first), current(second, **outcome("FAILED", cause="training_error"))
    assert worker.report(done).status_code == worker.report(failed).status_code == 200
    if later == "stopped":
        assert steer(service, study_id, "retry-failed") == 200
        assert steer(service, study_id, "stop") == 200
    elif later == "retried":
        assert steer(service, study_id, "retry-failed") == 200
        (again,) = worker.claim(1)
        assert (again["trial_id"], again["attempt"]) == (second["trial_id"], 2)
        assert worker.report(ending(again)).status_code == 200
    elif later == "deleted":
        assert service.client.delete(f"/v1/studies/{study_id}", headers=service.admin).status_code == 204
        gone = worker.report(done)
        assert (gone.status_code, gone.json()["code"], gone.json()["results"][0]["action"]) == (
            404, "trial.not_found", "stop",
        )  # fmt: skip
        return
    for sent in (done, failed):
        replay = worker.report(sent)
        assert (replay.status_code, replay.json()["results"][0]["status"]) == (200, "replayed")
    both = worker.report(done, failed).json()["results"]
    assert [result["status"] for result in both] == ["replayed", "replayed"]
    other = worker.report(ending(first, value=0.123))
    assert (other.status_code, other.json()["code"]) == (409, "trial.result_conflict")
    assert get_trial(service, first)["value"] == done["outcome"]["value"]


@pytest.mark.parametrize(
    ("verb", "status", "action"), [("pause", 200, "continue"), ("stop", 200, "continue"), ("cancel", 409, "stop")]
)
def test_what_a_running_trial_hears_of_its_study(service: InProcessApi, verb: str, status: int, action: str) -> None:
    study_id = create_study(service.client, service.admin)
    worker = Worker.register(service.client, service.headers["worker"])
    (trial,) = worker.claim(1)
    assert steer(service, study_id, verb) == 200
    assert worker.claim(4) == []
    told = worker.report(current(trial, measurements=[{"epoch": 1, "metrics": {"accuracy": 0.5}}]))
    assert (told.status_code, told.json()["results"][0]["action"]) == (status, action)
    last = worker.report(ending(trial) | {"measurements": []})
    assert last.status_code == status
    assert get_trial(service, trial)["state"] == ("CANCELLED" if verb == "cancel" else "COMPLETE")
    ended = service.client.get(f"/v1/studies/{study_id}", headers=service.admin).json()
    assert (ended["state"], ended["end_reason"]) == {
        "pause": ("PAUSED", None), "stop": ("COMPLETED", "user"), "cancel": ("CANCELLED", "user"),
    }[verb]  # fmt: skip


def test_each_single_refusal_is_a_problem_with_its_own_code(service: InProcessApi) -> None:
    create_study(service.client, service.admin)
    worker = Worker.register(service.client, service.headers["worker"])
    stranger = Worker.register(service.client, service.headers["worker"])
    (trial,) = worker.claim(1)
    epoch = {"epoch": 2, "metrics": {"accuracy": 0.5}}
    assert worker.report(current(trial, measurements=[epoch])).status_code == 200
    assert worker.report(current(trial, measurements=[epoch])).json()["results"][0]["status"] == "accepted"
    for measurements, status, code in (
        ([epoch | {"metrics": {"accuracy": 0.6}}], 409, "trial.result_conflict"),
        ([epoch | {"epoch": 1}], 409, "trial.result_conflict"),
        ([epoch | {"epoch": 4}, epoch | {"epoch": 3}], 422, "report.invalid"),
        ([epoch | {"epoch": 6}], 422, "report.invalid"),
        ([epoch | {"epoch": 3, "metrics": {"accuracy": 7.0}}], 422, "report.invalid"),
    ):
        refused = worker.report(current(trial, measurements=measurements))
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert len(refused.json()["results"]) == 1
        assert refused.json()["lease_s"] > 0
    for attempt, status, code in ((1, 403, "trial.foreign"), (2, 409, "trial.stale_attempt")):
        refused = stranger.report(current(trial) | {"attempt": attempt})
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert worker.report(current(trial) | {"attempt": 0}).status_code == 422
    assert worker.report(ending(trial) | {"measurements": []}).status_code == 200
    late = worker.report(current(trial, measurements=[epoch | {"epoch": 3}]))
    assert (late.status_code, late.json()["code"]) == (409, "trial.stale_attempt")
    view = service.client.get(f"/v1/trials/{trial['trial_id']}/measurements", headers=service.admin).json()
    assert [point["epoch"] for point in view["items"]] == [2]


def test_a_claim_id_is_its_workers_own(service: InProcessApi) -> None:
    create_study(service.client, service.admin)
    one, two = (Worker.register(service.client, service.headers["worker"]) for _ in range(2))
    body = {"claim_id": "the same", "max_trials": 1}

    def claim(worker: Worker, **changes: Any) -> list[str]:
        path = f"/v1/workers/{worker.worker_id}/claims"
        answer = service.client.post(path, json=body | changes, headers=worker.headers)
        return [trial["trial_id"] for trial in answer.json()["trials"]]

    mine, theirs = claim(one), claim(two)
    assert len({*mine, *theirs}) == 2
    assert claim(one, max_trials=4) == mine
    assert claim(two, max_trials=4) == theirs
    assert one.report({"trial_id": mine[0], "attempt": 1, **outcome("RELEASED", cause="shutdown")}).status_code == 200
    assert claim(one, max_trials=4) == []


def test_a_copy_is_made_once_for_one_key(service: InProcessApi) -> None:
    study_id = create_study(service.client, service.admin)
    headers = service.admin | {"Idempotency-Key": "copy"}
    path = f"/v1/studies/{study_id}/clone"
    first, again = (service.client.post(path, json={"name": "copy"}, headers=headers) for _ in range(2))
    assert first.json()["study_id"] == again.json()["study_id"] != study_id
    other = service.client.post(path, json={"name": "another"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")


def test_a_truncated_report_writes_nothing_and_harms_nobody(live: Live) -> None:
    with live.client() as client:
        create_study(client, {})
        worker = Worker.register(client, {})
        (trial,) = worker.claim(1)
        whole = client.build_request("POST", "/", json={"reports": [ending(trial)]}).read()
        path = f"/v1/workers/{worker.worker_id}/reports"
        for share in (0.0, 0.3, 0.9, 1.0):
            cut = whole[: int(share * len(whole)) - 1] if share else b""
            if cut:
                assert client.post(path, content=cut, headers={"Content-Type": "application/json"}).status_code == 400
            raw = raw_request("POST", path, live.admin, whole)
            with socket.create_connection(("127.0.0.1", live.port)) as hasty:
                hasty.sendall(raw[: len(raw) - len(whole) + len(cut)])
        assert client.get(f"/v1/trials/{trial['trial_id']}").json()["state"] == "RUNNING"
        assert worker.report(ending(trial)).json()["results"][0]["status"] == "accepted"
        eventually(lambda: client.get("/healthz").status_code == 200)


def test_an_unknown_commit_is_a_503_and_the_same_request_settles_it(
    service: InProcessApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit happens, its confirmation is lost: nobody may be told that it failed, nor that it did not."""
    create_study(service.client, service.admin)
    worker = Worker.register(service.client, service.headers["worker"])
    (trial,) = worker.claim(1)
    store = service.context.store
    plain = store._writer.dialect.do_commit
    lost = (sqlite3 if store.dialect.name == "sqlite" else psycopg).OperationalError("the connection was lost")

    def commit_and_lose(connection: Any) -> None:
        plain(connection)
        raise lost

    with monkeypatch.context() as patch:
        patch.setattr(store._writer.dialect, "do_commit", commit_and_lose)
        unknown = worker.report(ending(trial))
    assert unknown.status_code == 503
    assert int(unknown.headers["Retry-After"]) >= 1
    assert unknown.json()["code"] == "database.unavailable"
    again = worker.report(ending(trial))
    assert (again.status_code, again.json()["results"][0]["status"]) == (200, "replayed")
    assert get_trial(service, trial)["value"] == ending(trial)["outcome"]["value"]
