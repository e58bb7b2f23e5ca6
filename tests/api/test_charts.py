"""What charts are drawn from, over HTTP and both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import STUDY, InProcessApi, Worker, create_study, ending

CONDITIONAL: dict[str, Any] = {
    **STUDY,
    "space": {
        "units": {"type": "int", "low": 2, "high": 16},
        "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "momentum"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"optimizer": ["momentum"]}},
        "batch_norm": {"type": "categorical", "choices": [True, False]},
    },
    "budget": {"max_trials": 14},
}


@pytest.fixture
def study_id(service: InProcessApi) -> str:
    found = create_study(service.client, service.headers["submit"], **CONDITIONAL)
    Worker.register(service.client, service.headers["worker"]).finish(12)
    return found


def _get(shared_api: InProcessApi, path: str, status: int = 200) -> Any:
    answer = shared_api.client.get(path, headers=shared_api.headers["read"])
    assert answer.status_code == status, answer.text
    return answer.json()


def test_history_has_every_result_with_the_best_so_far(service: InProcessApi, study_id: str) -> None:
    path = f"/v1/studies/{study_id}/history"
    points = _get(service, f"{path}?limit=1000")["items"]
    assert [point["n_results"] for point in points] == list(range(1, 13))
    assert [point["best"] for point in points] == [max(p["value"] for p in points[: i + 1]) for i in range(12)]
    assert len(_get(service, f"{path}?improvements=true")["items"]) == len({point["best"] for point in points})

    first = _get(service, f"{path}?limit=5")
    rest = _get(service, f"{path}?limit=1000&page_token={first['next_page_token']}")
    assert first["items"] + rest["items"] == points
    assert rest["next_page_token"] is None
    thin = _get(service, f"{path}?max_points=10")["items"]
    assert len(thin) <= 10
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    for wrong in ("max_points=9", "max_points=x", "improvements=perhaps", "page_token=abc", "unknown=1"):
        _get(service, f"{path}?{wrong}", 422)


def test_importances_share_what_decided(service: InProcessApi, study_id: str) -> None:
    found = _get(service, f"/v1/studies/{study_id}/importances")
    assert found["reason"] is None
    assert {item["name"] for item in found["items"]} == set(CONDITIONAL["space"])
    assert sum(item["share"] for item in found["items"]) == pytest.approx(1)
    assert [item["share"] for item in found["items"]] == sorted((i["share"] for i in found["items"]), reverse=True)
    active = {item["name"]: item["n_results"] for item in found["items"]}
    assert active["units"] == 12
    assert 0 < active["momentum"] < 12


def test_importances_say_why_there_are_none(service: InProcessApi) -> None:
    study_id = create_study(service.client, service.headers["submit"])
    found = _get(service, f"/v1/studies/{study_id}/importances")
    assert (found["items"], found["n_results"]) == ([], 0)
    assert "at least 10" in found["reason"]
    _get(service, "/v1/studies/nothing/importances", 404)


def test_parallel_has_columns_and_rows(service: InProcessApi, study_id: str) -> None:
    found = _get(service, f"/v1/studies/{study_id}/parallel")
    columns = {column["name"]: column for column in found["columns"]}
    assert columns["learning_rate"] == {
        "name": "learning_rate", "kind": "number", "log": True, "integer": False, "low": 0.001, "high": 0.1,
        "choices": None,
    }  # fmt: skip
    assert columns["optimizer"]["choices"] == ["adam", "momentum"]
    assert [row["rank"] for row in found["rows"]] == list(range(1, 13))
    names = [column["name"] for column in found["columns"]]
    for row in found["rows"]:
        point = dict(zip(names, row["values"], strict=True))
        assert (point["momentum"] is None) == (point["optimizer"] == "adam")
        assert isinstance(point["batch_norm"], bool)
    few = _get(service, f"/v1/studies/{study_id}/parallel?limit=10")
    assert [row["rank"] for row in few["rows"]][:2] == [1, 2]
    assert len(few["rows"]) == 10
    assert few["sample"].startswith("10 of 12 results: the best 2")


def test_the_timeline_has_every_attempt(service: InProcessApi, study_id: str) -> None:
    found = _get(service, f"/v1/studies/{study_id}/timeline")
    assert sorted(item["number"] for item in found["items"]) == list(range(found["n_trials"]))
    assert {item["attempt"] for item in found["items"]} == {1}
    assert sum(item["state"] == "COMPLETE" for item in found["items"]) == 12
    newest = _get(service, f"/v1/studies/{study_id}/timeline?limit=3")
    assert [item["number"] for item in newest["items"]] == [found["n_trials"] - 3 + i for i in range(3)]


def test_trials_under_way_come_with_their_last_epoch(service: InProcessApi) -> None:
    study = create_study(service.client, service.headers["submit"])
    worker = Worker.register(service.client, service.headers["worker"])
    first, second = worker.claim(2)
    told = [{"epoch": epoch, "metrics": {"accuracy": epoch / 10}} for epoch in (1, 2)]
    worker.report({"trial_id": first["trial_id"], "attempt": 1, "measurements": told})
    found = _get(service, f"/v1/studies/{study}/running")["items"]
    assert [(item["number"], item["epoch"], item["metrics"]) for item in found] == [
        (first["number"], 2, {"accuracy": 0.2}),
        (second["number"], 0, {}),
    ]
    assert {item["worker_name"] for item in found} == {"w"}
    assert len(_get(service, f"/v1/studies/{study}/running?limit=1")["items"]) == 1
    worker.report(ending(first) | {"measurements": []})
    assert [item["number"] for item in _get(service, f"/v1/studies/{study}/running")["items"]] == [second["number"]]
    _get(service, "/v1/studies/0193a1b2-c3d4-7000-8000-000000000001/running", 404)


@pytest.mark.parametrize("path", ["history", "importances", "parallel"])
def test_answers_are_tagged(service: InProcessApi, study_id: str, path: str) -> None:
    url, read = f"/v1/studies/{study_id}/{path}", service.headers["read"]
    tag = service.client.get(url, headers=read).headers["ETag"]
    assert service.client.get(url, headers=read | {"If-None-Match": tag}).status_code == 304
    assert service.client.get(url, headers=read | {"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize("name", ["learning_rate", "units", "optimizer", "momentum", "batch_norm"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_trials_are_paged_in_the_order_of_a_parameter(
    service: InProcessApi, study_id: str, name: str, order: str
) -> None:
    path = f"/v1/studies/{study_id}/trials?state=COMPLETE&sort=param.{name}&order={order}"
    seen: list[dict[str, Any]] = []
    page = _get(service, f"{path}&limit=5")
    while True:
        seen += page["items"]
        if page["next_page_token"] is None:
            break
        page = _get(service, f"{path}&limit=5&page_token={page['next_page_token']}")
    assert sorted(item["number"] for item in seen) == list(range(12))
    values = [item["params"][name] for item in seen if name in item["params"]]
    assert values == sorted(values, reverse=order == "desc")
    assert all(name not in item["params"] for item in seen[len(values) :]), "what has no value comes last"


def test_unknown_sorts_are_refused(service: InProcessApi, study_id: str) -> None:
    for sort in ("param.nothing", "param.", "param.units'--", "rank", "id"):
        _get(service, f"/v1/studies/{study_id}/trials?sort={sort}", 422)
