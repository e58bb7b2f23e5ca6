"""Leaderboards, pages of trials, histories and exports over HTTP; over both databases."""

from __future__ import annotations

import csv
import io
import json

import polars as pl
import pytest

from api.exports import export_response
from tests.api.conftest import InProcessApi, Worker, create_study


def _study(service: InProcessApi) -> str:
    """Return a study with three results and one trial left."""
    made = create_study(service.client, service.admin, name="=cmd()")
    Worker.register(service.client, service.headers["worker"]).finish(3)
    return made


@pytest.fixture
def study_id(local: InProcessApi) -> str:
    """A study with three results and one trial left."""
    return _study(local)


def test_the_leaderboard_is_ranked_paged_and_tagged(service: InProcessApi) -> None:
    read, path = service.headers["read"], f"/v1/studies/{_study(service)}/leaderboard"
    board = service.client.get(path, headers=read)
    rows = board.json()["items"]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert [row["number"] for row in rows] == [2, 1, 0]
    assert board.json()["metric"] == "accuracy"
    assert set(rows[0]) >= {
        "rank",
        "trial_id",
        "number",
        "params",
        "value",
        "metrics",
        "best_epoch",
        "epochs",
        "n_weights",
        "device_seconds",
        "duration_s",
        "mean",
        "interval",
        "rank_interval",
    }

    tag = board.headers["ETag"]
    assert tag.startswith('"')
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = service.client.get(path, headers=read | {"If-None-Match": sent})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert service.client.get(path, headers=read | {"If-None-Match": '"other"'}).status_code == 200
    Worker.register(service.client, service.headers["worker"]).finish(1)
    fresh = service.client.get(path, headers=read | {"If-None-Match": tag})
    assert fresh.status_code == 200
    assert len(fresh.json()["items"]) == 4

    first = service.client.get(f"{path}?limit=3", headers=read).json()
    rest = service.client.get(f"{path}?limit=3&page_token={first['next_page_token']}", headers=read).json()
    assert [row["rank"] for row in first["items"] + rest["items"]] == [1, 2, 3, 4]
    assert service.client.get("/v1/studies/nothing/leaderboard", headers=read).status_code == 404


def test_trials_are_filtered_and_sorted(local: InProcessApi, study_id: str) -> None:
    read, path = local.headers["read"], f"/v1/studies/{study_id}/trials"

    def numbers(query: str) -> list[int]:
        answer = local.client.get(f"{path}?{query}", headers=read)
        assert answer.status_code == 200, answer.text
        return [item["number"] for item in answer.json()["items"]]

    assert numbers("state=COMPLETE") == [0, 1, 2]
    assert numbers("state=COMPLETE&sort=value&order=desc") == [2, 1, 0]
    assert numbers("state=COMPLETE&sort=created_at&order=asc&limit=2") == [0, 1]
    assert numbers("kind=baseline") == []
    for sort in ("number", "value", "epochs", "device_seconds", "n_weights", "created_at"):
        assert sorted(numbers(f"sort={sort}&order=desc"))[:3] == [0, 1, 2]


def test_history_has_the_improvements(local: InProcessApi, study_id: str) -> None:
    points = local.client.get(f"/v1/studies/{study_id}/history", headers=local.headers["read"]).json()["items"]
    assert [point["value"] for point in points] == pytest.approx([0.5, 0.51, 0.52])
    assert [point["n_results"] for point in points] == [1, 2, 3]


def test_exports_agree(local: InProcessApi, study_id: str) -> None:
    read, path = local.headers["read"], f"/v1/studies/{study_id}/export"
    lines = local.client.get(f"{path}?format=jsonl", headers=read)
    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert len(rows) == 4
    assert lines.headers["Content-Disposition"] == f'attachment; filename="study-{study_id}.jsonl"'

    table = local.client.get(path, headers=read)
    assert table.headers["Content-Type"].startswith("text/csv")
    cells = list(csv.DictReader(io.StringIO(table.text)))
    assert [int(cell["number"]) for cell in cells] == [row["number"] for row in rows]
    assert [cell["param.units"] for cell in cells] == [str(row["param.units"]) for row in rows]
    assert cells[0]["metric.accuracy"] == "0.5"

    frame = pl.read_parquet(io.BytesIO(local.client.get(f"{path}?format=parquet", headers=read).content))
    assert frame["number"].to_list() == [row["number"] for row in rows]
    assert frame["param.learning_rate"].to_list() == [row["param.learning_rate"] for row in rows]
    assert local.client.get(f"{path}?format=xlsx", headers=read).status_code == 422
    for form in ("csv", "jsonl", "parquet"):
        assert local.client.get(f"/v1/studies/nothing/export?format={form}", headers=read).status_code == 404


_ROWS = [
    {"number": 0, "name": "=cmd()", "param.x": 1, "metric.r2": -0.5},
    {"number": 1, "name": "+1", "param.x": "word", "param.flag": True},
    {"number": 2, "name": "-1", "param.x": 2.5, "metric.r2": 1},
    {"number": 3, "name": "@x"},
    {"number": 4, "name": 'quote " and, comma', "param.x": None},
]


def _bytes(form: str) -> bytes:
    import anyio

    reply = export_response(lambda: iter(_ROWS), form, "x")  # type: ignore[arg-type]

    async def gather() -> bytes:
        return b"".join([chunk async for chunk in reply.body_iterator])  # type: ignore[attr-defined]

    return bytes(reply.body) if hasattr(reply, "body") else anyio.run(gather)


def test_no_spreadsheet_runs_a_cell() -> None:
    cells = list(csv.DictReader(io.StringIO(_bytes("csv").decode())))
    assert [cell["name"] for cell in cells] == ["'=cmd()", "'+1", "'-1", "'@x", 'quote " and, comma']
    assert [cell["metric.r2"] for cell in cells] == ["-0.5", "", "1", "", ""]
    assert list(cells[0]) == ["number", "name", "param.x", "param.flag", "metric.r2"]


def test_columns_of_mixed_values_become_words() -> None:
    frame = pl.read_parquet(io.BytesIO(_bytes("parquet")))
    assert frame["param.x"].to_list() == ["1", "word", "2.5", None, None]
    assert frame["metric.r2"].to_list() == [-0.5, None, 1.0, None, None]
    assert frame["param.flag"].to_list() == [None, True, None, None, None]
    assert frame["name"].to_list()[0] == "=cmd()"
