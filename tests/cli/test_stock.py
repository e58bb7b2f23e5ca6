"""Commands for data sets, tokens and workers against a fake server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import NOW, FakeServer, Said, dataset, page

Run = Callable[..., Said]
PROFILE = {
    "n_rows": 600,
    "target": "y",
    "task": "binary",
    "classes": ["no", "yes"],
    "class_counts": [312, 288],
    "columns": [
        {"name": "age", "kind": "real", "n_missing": 3, "minimum": 18.0, "maximum": 75.0, "mean": 44.5},
        {"name": "plan", "kind": "categorical", "categories": ["basic", "plus"]},
    ],
    "warnings": ["column a is constant"],
}


def test_datasets(fake: FakeServer, remote: Run, tmp_path: Path):
    (tmp_path / "d.csv").write_text("age,y\n1,no\n")
    fake.routes["POST", "/v1/datasets"] = (201, dataset())
    fake.routes["GET", "/v1/datasets"] = page(dataset())
    fake.routes["GET", "/v1/datasets/d1"] = dataset()
    fake.routes["GET", "/v1/datasets/d1/profile"] = PROFILE
    fake.routes["DELETE", "/v1/datasets/d1"] = (204, {})
    said = remote("datasets", "add", "d.csv", "--target", "y")
    assert said.out == "d1  d: 600 rows, 7 columns, target y (binary)\n"
    assert said.err == "note: column a is constant\n"
    assert remote("datasets", "add", "d.csv", "--json").json["dataset_id"] == "d1"
    assert "1.2 kB" in remote("datasets", "list").out
    shown = remote("datasets", "show", "d1").out
    assert "classes: no 312, yes 288" in shown
    assert "18 to 75, mean 44.5" in shown
    assert "basic, plus" in shown
    assert remote("datasets", "show", "d1", "--json").json["profile"]["n_rows"] == 600
    assert remote("datasets", "rm", "d1").code == 0


def test_a_data_file_that_is_not_there(fake: FakeServer, remote: Run):
    said = remote("datasets", "add", "nix.csv")
    assert said.code == 1
    assert said.err == "Error: nix.csv can not be read: there is no such file\n"
    assert fake.requests == []


def token_view(**changes: object) -> dict[str, object]:
    return {"token_id": "t1", "name": "ci", "scopes": ["read", "submit"], "created_at": NOW, **changes}


def test_tokens(fake: FakeServer, remote: Run):
    fake.routes["POST", "/v1/tokens"] = (201, token_view(token="hps_new_secret"))
    fake.routes["GET", "/v1/tokens"] = page(token_view(), token_view(revoked_at=NOW), token_view(expires_at=NOW))
    fake.routes["DELETE", "/v1/tokens/t1"] = (204, {})
    said = remote("tokens", "create", "--name", "ci", "--scope", "worker", "--scope", "read", "--expires-in", "2h")
    assert said.out == "hps_new_secret\n"
    assert fake.requests[-1].json == {"name": "ci", "scopes": ["worker", "read"], "expires_in_s": 7200}
    assert remote("tokens", "create", "--json").json["token"] == "hps_new_secret"
    assert fake.requests[-1].json["scopes"] == ["read", "submit"]
    listed = remote("tokens", "list").out
    assert "revoked" in listed
    assert "valid until 2026-01-01 00:00 UTC" in listed
    assert remote("tokens", "revoke", "t1").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope", "root"], "'root'"),
        (["--expires-in", "soon"], "received 'soon'"),
        (["--name", ""], "name can not be ''"),
    ],
)
def test_tokens_refused(fake: FakeServer, remote: Run, arguments: list[str], said: str):
    result = remote("tokens", "create", *arguments)
    assert result.code == 1
    assert said in result.err
    assert fake.requests == []


def test_workers(fake: FakeServer, remote: Run):
    def worker(**changes: object) -> dict[str, object]:
        devices = [{"kind": "gpu", "name": "H200", "memory_bytes": None, "cores": None}]
        base = {
            "worker_id": "w1",
            "name": "gpu1",
            "state": "ACTIVE",
            "devices": devices,
            "registered_at": NOW,
            "last_seen_at": NOW,
        }
        return base | changes

    fake.routes["GET", "/v1/workers"] = page(worker(), worker(worker_id="w2", name="old", state="GONE"))
    fake.routes["POST", "/v1/workers/w1/drain"] = worker(state="DRAINING")
    said = remote("workers", "list").out
    assert "gpu H200" in said
    assert "old" not in said
    assert "old" in remote("workers", "list", "--all").out
    assert remote("workers", "drain", "w1").err == "Worker 'gpu1' is draining.\n"
    assert remote("workers", "drain", "w1", "--json").json["state"] == "DRAINING"
