"""Studies over HTTP: created, checked, steered, deleted; over both databases."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.documentation import examples
from hpsearch.domain.algorithms import ALGORITHMS
from tests.api.conftest import STUDY, InProcessApi, Worker, create_study, eventually


def test_a_study_from_creation_to_its_end(service: InProcessApi) -> None:
    submit, read = service.headers["submit"], service.headers["read"]
    made = service.client.post("/v1/studies", json=STUDY, headers=submit)
    assert made.status_code == 201
    study = made.json()
    path = made.headers["Location"]
    assert path == f"/v1/studies/{study['study_id']}"
    assert study["state"] == "RUNNING"
    assert study["resolved"]["metric"] == "accuracy"

    worker = Worker.register(service.client, service.headers["worker"])
    done = worker.finish(4)
    study = service.client.get(path, headers=read).json()
    assert (study["state"], study["end_reason"], study["n_trials"]) == ("COMPLETED", "max_trials", 4)
    assert study["counts"]["COMPLETE"] == 4
    assert study["best"]["value"] == pytest.approx(0.53)

    listed = service.client.get("/v1/studies", params={"state": "COMPLETED", "name": "iris"}, headers=read).json()
    assert [item["study_id"] for item in listed["items"]] == [study["study_id"]]
    assert service.client.get("/v1/studies?state=PAUSED", headers=read).json()["items"] == []

    trial = service.client.get(f"/v1/trials/{done[0]['trial_id']}", headers=read).json()
    assert trial["state"] == "COMPLETE"
    assert [attempt["attempt"] for attempt in trial["attempts"]] == [1]
    epochs = service.client.get(f"/v1/trials/{done[0]['trial_id']}/measurements", headers=read).json()
    assert [(item["epoch"], item["metrics"]["loss"]) for item in epochs["items"]] == [(1, None), (2, 1.0)]

    assert service.client.delete(path, headers=submit).status_code == 204
    assert service.client.get(path, headers=read).status_code == 404
    assert service.client.get(f"/v1/trials/{done[0]['trial_id']}", headers=read).status_code == 404


def test_creation_is_idempotent(service: InProcessApi) -> None:
    headers = service.headers["submit"] | {"Idempotency-Key": "night run 7"}
    first = service.client.post("/v1/studies", json=STUDY, headers=headers)
    again = service.client.post("/v1/studies", json=STUDY, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["study_id"] == again.json()["study_id"]
    other = service.client.post("/v1/studies", json=STUDY | {"name": "other"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key.reused"
    assert len(service.client.get("/v1/studies", headers=service.admin).json()["items"]) == 1


@pytest.mark.parametrize(
    ("section", "received", "expected"), [("pruner", "median", ("none",)), ("algorithm", "sobol", tuple(ALGORITHMS))]
)
def test_what_no_registry_holds_is_refused(
    service: InProcessApi, section: str, received: str, expected: tuple[str, ...]
) -> None:
    refused = service.client.post(
        "/v1/studies", json=STUDY | {section: {"kind": received}}, headers=service.headers["submit"]
    )
    assert refused.status_code == 422
    told = refused.json()["errors"][0]["message"] + refused.json()["errors"][0]["field"]
    assert f"{section}.kind" in told
    assert all(name in told for name in (*expected, received)), told
    assert service.client.get("/v1/studies", headers=service.admin).json()["items"] == []


def test_steering(service: InProcessApi) -> None:
    client, submit = service.client, service.headers["submit"]
    # Bayesian: its trials are made a few at a time, so that there is room for a point of one's own.
    study_id = create_study(client, submit, algorithm={"kind": "bayesian"}, budget={"max_trials": 40})
    path = f"/v1/studies/{study_id}"
    worker = Worker.register(client, service.headers["worker"])
    claimed: list[dict[str, Any]] = []

    assert client.post(f"{path}/pause", headers=submit).json()["state"] == "PAUSED"
    assert client.post(f"{path}/pause", headers=submit).status_code == 200
    assert worker.claim() == []
    assert client.post(f"{path}/resume", headers=submit).json()["state"] == "RUNNING"
    assert client.delete(path, headers=submit).status_code == 409

    def claim() -> bool:
        claimed.extend(worker.claim())
        return bool(claimed)

    eventually(claim)
    trial = claimed[0]

    assert client.post(f"{path}/extend", json={"max_trials": 60}, headers=submit).json()["budget"]["max_trials"] == 60
    assert client.post(f"{path}/extend", json={"max_trials": 2}, headers=submit).status_code == 422
    patch = {"name": "renamed", "priority": 5, "notes": "line one\nline two", "labels": {"team": "vision"}}
    changed = client.patch(path, json=patch, headers=submit).json()
    assert {key: changed[key] for key in patch} == patch

    point = {"params": {"units": 3, "learning_rate": 0.01}}
    queued = client.post(f"{path}/trials", json=point, headers=submit | {"Idempotency-Key": "k"})
    assert queued.status_code == 201
    assert queued.json()["params"] == point["params"]
    again = client.post(f"{path}/trials", json=point, headers=submit | {"Idempotency-Key": "k"})
    assert again.json()["trial_id"] == queued.json()["trial_id"]
    assert client.post(f"{path}/trials", json={"params": {"units": 99}}, headers=submit).status_code == 422

    failed = {"state": "FAILED", "cause": "training_error", "detail": "boom " * 100_000}
    assert worker.report({"trial_id": trial["trial_id"], "attempt": 1, "outcome": failed}).status_code == 200
    kept = client.get(f"/v1/trials/{trial['trial_id']}", headers=service.headers["read"]).json()
    assert len(kept["detail"]) <= 16 * 1024
    assert client.post(f"/v1/trials/{trial['trial_id']}/retry", headers=submit).json()["state"] == "WAITING"
    assert client.post(f"/v1/trials/{trial['trial_id']}/retry", headers=submit).status_code == 409
    assert client.post(f"{path}/retry-failed", headers=submit).json() == {"n_retried": 0}
    assert client.post(f"/v1/trials/{queued.json()['trial_id']}/stop", headers=submit).json()["state"] == "CANCELLED"

    clone = client.post(f"{path}/clone", headers=submit)
    assert clone.status_code == 201
    assert clone.json()["definition"]["space"] == changed["definition"]["space"]
    assert client.post(f"{path}/clone", json={"name": "twin"}, headers=submit).json()["name"] == "twin"

    assert client.post(f"{path}/stop", headers=submit).json()["state"] in ("STOPPING", "COMPLETED")
    other = f"/v1/studies/{clone.json()['study_id']}"
    assert client.post(f"{other}/cancel", headers=submit).json()["state"] == "CANCELLED"
    assert client.post(f"{other}/cancel", headers=submit).status_code == 200
    refused = client.post(f"{other}/resume", headers=submit)
    assert refused.status_code == 409
    assert refused.json()["code"] == "study.wrong_state"
    for verb in ("pause", "resume", "stop", "cancel", "retry-failed", "clone"):
        assert client.post(f"/v1/studies/nothing/{verb}", headers=submit).status_code == 404


@pytest.mark.parametrize("verb", ["validate", "preview"])
def test_checking_creates_nothing(shared_api: InProcessApi, verb: str) -> None:
    for body in (STUDY, STUDY | {"name": 7}, {}, {"space": {"units": {"low": 9, "high": 1, "type": "int"}}}):
        answer = shared_api.client.post(f"/v1/studies/{verb}", json=body, headers=shared_api.headers["submit"])
        assert answer.status_code == 200
        assert answer.json()["valid"] == (body is STUDY)
        assert bool(answer.json()["errors"]) != (body is STUDY)
    unknown = STUDY | {"dataset": {"id": "nothing"}}
    answer = shared_api.client.post(f"/v1/studies/{verb}", json=unknown, headers=shared_api.headers["submit"])
    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    assert shared_api.client.get("/v1/studies", headers=shared_api.admin).json()["items"] == []


def test_a_preview_shows_what_would_happen(shared_api: InProcessApi) -> None:
    answer = shared_api.client.post("/v1/studies/preview", json=examples.GRID, headers=shared_api.admin).json()
    assert answer["valid"] is True
    assert answer["grid_size"] == 24
    assert answer["sample"][0]["n_weights"] >= answer["min_weights"] > 0


def test_two_pages(service: InProcessApi) -> None:
    for name in ("a", "b", "c"):
        create_study(service.client, service.admin, name=name)
    first = service.client.get("/v1/studies?limit=2", headers=service.admin).json()
    assert [item["name"] for item in first["items"]] == ["c", "b"]
    token = first["next_page_token"]
    second = service.client.get(f"/v1/studies?limit=2&page_token={token}", headers=service.admin).json()
    assert [item["name"] for item in second["items"]] == ["a"]
    assert second["next_page_token"] is None
    wrong = service.client.get(f"/v1/workers?page_token={token}", headers=service.admin)
    assert wrong.status_code == 422


def test_a_point_with_too_many_weights_is_not_too_large_a_request(shared_api: InProcessApi) -> None:
    client, submit = shared_api.client, shared_api.headers["submit"]
    path = f"/v1/studies/{create_study(client, submit, constraints={'max_weights': 30})}"
    refused = client.post(f"{path}/trials", json={"params": {"units": 8, "learning_rate": 0.01}}, headers=submit)
    assert (refused.status_code, refused.json()["code"]) == (422, "point.too_many_weights")
    assert re.search(
        r"has \d+ weights, .* at most 30 \(constraints\.max_weights\): give fewer", refused.json()["detail"]
    )
    assert client.post(f"{path}/cancel", headers=submit).status_code == 200
    assert client.delete(path, headers=submit).status_code == 204


def test_studies_are_found_by_their_labels(service: InProcessApi) -> None:
    client, admin = service.client, service.admin
    for name, labels in (("a", {"team": "vision"}), ("b", {"team": "speech", "ö=": "x y"}), ("c", {})):
        study = create_study(client, admin, name=name)
        assert client.patch(f"/v1/studies/{study}", json={"labels": labels}, headers=admin).status_code == 200

    def named(label: str) -> list[str]:
        found = client.get("/v1/studies", params={"label": label}, headers=admin)
        assert found.status_code == 200, found.text
        return [study["name"] for study in found.json()["items"]]

    assert named("team") == ["b", "a"]
    assert named("team=vision") == named(" team = vision ") == ["a"]
    assert named("team=") == named("nothing") == []
    first = client.get("/v1/studies", params={"label": "team", "limit": 1}, headers=admin).json()
    rest = {"label": "team", "page_token": first["next_page_token"]}
    assert [study["name"] for study in client.get("/v1/studies", params=rest, headers=admin).json()["items"]] == ["a"]
    for label in ("=x", "\x00", "x" * 301):
        assert client.get("/v1/studies", params={"label": label}, headers=admin).status_code == 422
