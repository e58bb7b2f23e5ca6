"""Values as the server answers them, for tests of the client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2

from hpsearch.client import Client

TEST_TOKEN = "hps_a_b"
S1 = "01980000-0000-7000-8000-00000000000a"
T1 = "01980000-0000-7000-8000-00000000000b"
AT = "2026-01-01T00:00:00Z"
DEFINITION: dict[str, Any] = {"name": "s", "dataset": {"builtin": "iris"}, "space": {"layers": {"values": [1, 2]}}}
DATASET = {
    "dataset_id": "d1",
    "name": "data",
    "source": "upload",
    "digest": "0" * 64,
    "size_bytes": 3,
    "n_rows": 1,
    "n_columns": 2,
    "target": "y",
    "task": "binary",
    "created_at": AT,
}
PROFILE = {"n_rows": 1, "columns": [], "target": "y", "task": "binary"}
STUDY = {
    "study_id": S1,
    "name": "s",
    "state": "RUNNING",
    "definition": DEFINITION,
    "resolved": {
        "dataset_id": "d1",
        "dataset_digest": "0" * 64,
        "task": "multiclass",
        "metric": "accuracy",
        "direction": "maximize",
        "n_inputs": 4,
        "n_outputs": 3,
        "max_trials": 10,
    },
    "counts": {"WAITING": 1},
    "n_trials": 0,
    "budget": {"max_trials": 10, "n_created": 1, "n_trials": 0, "wall_time_s": 1.0, "device_seconds": 0.0},
    "created_at": AT,
}
TRIAL = {
    "trial_id": T1,
    "study_id": S1,
    "number": 0,
    "kind": "search",
    "state": "WAITING",
    "params": {"layers": 1},
    "seed": 1,
    "created_at": AT,
}
ROW = {"rank": 1, "trial_id": T1, "number": 0, "kind": "search", "params": {"layers": 1}, "value": 0.9}
WORKER = {"worker_id": "w1", "name": "host", "state": "ACTIVE", "registered_at": AT, "last_seen_at": AT}
TOKEN = {"token_id": "k1", "name": "lab", "scopes": ["worker"], "created_at": AT}


def page(*items: Any, token: str | None = None, **more: Any) -> dict[str, Any]:
    return {"items": items, "next_page_token": token, **more}


def leaderboard(*rows: Any, token: str | None = None) -> dict[str, Any]:
    return page(*rows, token=token, metric="accuracy", direction="maximize")


class Recorder:
    """Answers every request by the given function, and remembers the requests."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response] | Any, status: int = 200) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = answer if callable(answer) else lambda _request: httpx2.Response(status, json=answer)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answer(request)

    @property
    def last(self) -> httpx2.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)

    def client(self, token: str | None = TEST_TOKEN, **options: Any) -> Client:
        return Client("http://server.test:8000/", token, transport=httpx2.MockTransport(self), **options)


def problem(status: int, code: str | None, detail: str = "what went wrong", **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    body = {"status": status, "title": "T", "detail": detail, **({} if code is None else {"code": code}), **more}
    return httpx2.Response(status, json=body, headers={"Content-Type": "application/problem+json"} | headers)
