"""Floods: what one client sends too much of is refused, and takes nobody else's turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.errors.problem_documents import ProblemError
from api.limits.report_rate_limit import MAX_REPORTS_PER_SECOND, ReportRateLimit
from hpsearch.settings import Settings
from tests.api.conftest import InProcessApi, _in_process, bearer_of

_STUDY: dict[str, Any] = {
    "name": "x",
    "dataset": {"builtin": "iris"},
    "space": {"units": {"type": "int", "low": 1, "high": 8}},
    "budget": {"max_trials": 4},
}


def test_one_trial_may_be_reported_on_so_often_in_a_window() -> None:
    few = ReportRateLimit(3, window_s=1)
    for _ in range(3):
        few.check("t", ["a", "b"])
    with pytest.raises(ProblemError, match="'a' was reported on more than 3 times") as refused:
        few.check("t", ["a"])
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    few.check("t", ["c"])
    few.check("another token", ["a"])
    time.sleep(1.1)
    few.check("t", ["a"])


def test_the_limit_is_beyond_what_workers_send() -> None:
    pace = ReportRateLimit()
    for _ in range(MAX_REPORTS_PER_SECOND):
        pace.check("t", ["a"])
    with pytest.raises(ProblemError, match="more than 200 times within a second"):
        pace.check("t", ["a"])


def test_a_flood_of_reports_is_refused_and_nothing_of_it_counts(local: InProcessApi) -> None:
    client, admin = local.client, local.admin
    client.post("/v1/studies", json=_STUDY, headers=admin)
    worker = client.post("/v1/workers", json={"name": "w"}, headers=admin).json()["worker_id"]
    claim = {"claim_id": "c", "max_trials": 2}
    first, second = client.post(f"/v1/workers/{worker}/claims", json=claim, headers=admin).json()["trials"]

    def send(trial: dict[str, Any], epoch: int) -> Any:
        measured = [{"epoch": epoch, "metrics": {"loss": 0.5}}]
        entry = {"trial_id": trial["trial_id"], "attempt": trial["attempt"], "measurements": measured}
        return client.post(f"/v1/workers/{worker}/reports", json={"reports": [entry]}, headers=admin)

    local.app.state.shared.report_rate_limit = ReportRateLimit(3, window_s=60)
    assert [send(first, 1).status_code for _ in range(3)] == [200, 200, 200]
    flooded = send(first, 2)
    assert (flooded.status_code, flooded.json()["code"], flooded.headers["Retry-After"]) == (
        429,
        "report.too_often",
        "1",
    )
    assert send(second, 1).status_code == 200
    stored = client.get(f"/v1/trials/{first['trial_id']}/measurements", headers=admin)
    assert [row["epoch"] for row in stored.json()["items"]] == [1]
    local.app.state.shared.report_rate_limit = ReportRateLimit()
    assert send(first, 2).status_code == 200


@pytest.fixture
def small(tmp_path: Path) -> Iterator[InProcessApi]:
    """A server on which a token may have two open studies."""
    yield from _in_process(Settings(data_dir=tmp_path, max_open_studies=2))


def test_a_token_has_so_many_open_studies_and_no_more(small: InProcessApi) -> None:
    client, mine, other = small.client, small.headers["submit"], bearer_of(small.context, "submit", "read")
    made = [client.post("/v1/studies", json=_STUDY, headers=mine | {"Idempotency-Key": f"{n}"}) for n in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 403]
    refused = made[2].json()
    assert refused["code"] == "quota.open_studies"
    assert "2 studies that have not ended" in refused["detail"]
    assert "HPSEARCH_MAX_OPEN_STUDIES" in refused["detail"]
    study = made[0].json()["study_id"]
    # What is there already is still answered; others have their own room; a clone is a study, too.
    assert client.post("/v1/studies", json=_STUDY, headers=mine | {"Idempotency-Key": "0"}).json()["study_id"] == study
    assert client.post("/v1/studies", json=_STUDY, headers=other).status_code == 201
    assert client.post(f"/v1/studies/{study}/clone", json={}, headers=mine).status_code == 403
    assert client.post(f"/v1/studies/{study}/cancel", headers=mine).status_code == 200
    # The refused key was not used up.
    assert client.post("/v1/studies", json=_STUDY, headers=mine | {"Idempotency-Key": "2"}).status_code == 201
