"""Hostile requests about things that are there: a study, its trials, a worker that holds one, models, a data set."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from api.guard import Guard
from hpsearch.settings import Settings
from tests.api.conftest import InProcessApi, Worker, _in_process, create_study

_SPACE = {
    "units": {"type": "int", "low": 2, "high": 16},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
}


@dataclass
class Seeded:
    """An application and the ids of what is in it."""

    shared_api: InProcessApi
    ids: dict[str, str]
    session: dict[str, str]

    def send(self, method: str, path: str, **options: Any) -> Any:
        """Return the answer for somebody who may do everything, through either door."""
        headers = self.session if path.startswith("/ui") else self.shared_api.admin
        headers = httpx2.Headers({**httpx2.Headers(headers), **httpx2.Headers(options.pop("headers", {}))})
        return self.shared_api.client.request(method, path, headers=headers, follow_redirects=False, **options)


def _seed(shared_api: InProcessApi) -> Seeded:
    client, admin = shared_api.client, shared_api.admin
    study = create_study(client, admin, space=_SPACE, budget={"max_trials": 6}, baselines=True)
    worker = Worker.register(client, admin)
    done = worker.finish(4, model=b"model")
    (held,) = worker.claim(1)
    ids = {
        "study_id": study, "trial_id": held["trial_id"], "worker_id": worker.worker_id, "done": done[-1]["trial_id"],
        "dataset_id": client.get(f"/v1/studies/{study}", headers=admin).json()["resolved"]["dataset_id"],
        "token_id": "none", "asset": "app.css", "name": "app.css", "verb": "stop",
        "attempt": str(held["attempt"]),
    }  # fmt: skip
    token = admin["Authorization"].removeprefix("Bearer ")
    return Seeded(shared_api, ids, {"Cookie": f"hpsearch_session={token}", "Sec-Fetch-Site": "same-origin"})


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    """One for all requests that change nothing that others need."""
    for shared_api in _in_process(Settings(data_dir=tmp_path_factory.mktemp("seeded"))):
        yield _seed(shared_api)


def _routes(seeded: Seeded, *methods: str) -> Iterator[tuple[str, str, APIRoute]]:
    for route in seeded.shared_api.app.routes:
        if isinstance(route, APIRoute) and route.methods and route.methods & set(methods):
            (method,) = route.methods
            # An endless answer and one that ends what the others need.
            if not route.path.endswith(("/live", "/events", "/stream")) and method != "DELETE":
                yield method, route.path, route


def _sound(answer: Any) -> bool:
    text = answer.headers.get("Content-Type", "")
    told = answer.status_code < 400 or text.startswith(("application/problem+json", "text/html"))
    return bool(answer.status_code < 500 and told and (answer.status_code < 400 or "Traceback" not in answer.text))


_HOSTS = [
    "127.0.0.1:99999",
    "127.0.0.1:65536",
    "[::1]:99999",
    "localhost:00000",
    "localhost:",
    "localhost:8000:1",
    "[::1",
]
_HOSTS += ["localhost, evil.test", "127.0.0.1\x00", "[fe80::1%25eth0]"]


@pytest.mark.parametrize("host", _HOSTS)
def test_hosts_are_read_once_for_all(seeded: Seeded, host: str) -> None:
    for path in ("/ui", "/ui/sign-in", "/ui/studies", "/v1/studies", "/healthz"):
        answer = seeded.send("GET", path, headers={b"Host": host.encode()})
        assert answer.status_code in (200, 303, 307, 400), (path, answer.status_code)
        assert "X-Content-Type-Options" in answer.headers


_QUERIES = [
    "limit=0", "limit=" + "9" * 5_000, "limit=%00", "page_token=%00", "page_token=" + "A" * 2_100,
    "attempt=" + "9" * 30, "sort=param.activation&order=desc&limit=1", "format=%ff", "after=1-1-1",
    "after=" + "9" * 90, "label=%00", "label==", "trials=%00,x", "state=%ed%a0%80", "x=1", "max_points=" + "1" * 5_000,
]  # fmt: skip


def test_queries_of_every_route_that_reads(seeded: Seeded) -> None:
    wrong = []
    for method, path, _ in _routes(seeded, "GET"):
        filled = path.format(**seeded.ids)
        wrong += [
            (method, path, query[:40], answer.status_code)
            for query in ["", *_QUERIES]
            if not _sound(answer := seeded.send(method, f"{filled}{'?' if query else ''}{query}"))
        ]
    assert wrong == []


_NUMBERS = [
    "0x" + "F" * 5_000,
    "9" * 5_000,
    "-" + "9" * 5_000,
    "0" * 18 + "1" * 5_000,
    "1e400",
    "NaN",
    "٣",
    "1_000",
    "",
]
_TEXTS = [
    "\u202eevil",
    "a\u200bb",
    "a\u2028b",
    "tag\U000e0041",
    "\x1b[31m",
    "x" * 70_000,
    "'; DROP TABLE study;--",
    "{{7*7}}",
]
_BODIES: list[Any] = [
    None, [], {}, "x", 7, {"params": {"units": "9" * 5_000, "activation": None}}, {"params": {"activation": "\u202e"}},
    {"max_trials": 10**12}, {"max_trials": 1}, {"name": "\u202e"}, {"labels": {"": ""}}, {"labels": {"a" * 65: "b"}},
    {"labels": {"k": "\u2028"}}, {"priority": 1001}, {"notes": "\ud800"}, {"claim_id": "c" * 201}, {"wait_s": -1},
    {"claim_id": "x", "max_trials": 1025}, {"claim_id": "x", "progress": {"engine": ""}}, {"unknown": {}},
]  # fmt: skip


def test_bodies_of_every_route_that_changes(seeded: Seeded) -> None:
    wrong = []
    steering = ("/pause", "/resume", "/stop", "/cancel", "/retry-failed", "/retry", "/drain", "/disable", "/enable")
    for method, path, route in _routes(seeded, "POST", "PUT", "PATCH"):
        if path.endswith(steering) or path.endswith(("/datasets", "/sign-out", "/revoke", "/delete")):
            continue  # without a body, or with one of another kind
        filled = path.format(**seeded.ids)
        operation = seeded.shared_api.app.openapi()["paths"].get(path, {}).get(method.lower(), {})
        for body in _BODIES:
            answer = seeded.send(method, filled, content=json.dumps(body), headers={"Content-Type": "application/json"})
            documented = not operation or str(answer.status_code) in operation["responses"]
            if not _sound(answer) or not documented:
                wrong.append((method, path, str(body)[:40], answer.status_code))
        assert any(isinstance(d.dependency, Guard) for d in route.dependencies)
    assert wrong == []


def _outcome(**changes: Any) -> dict[str, Any]:
    return {"state": "COMPLETE", "value": 0.5, "metrics": {"accuracy": 0.5}, "best_epoch": 1, "epochs": 1} | changes


@pytest.mark.parametrize(
    "entry",
    [
        {"outcome": _outcome(best_epoch=4, epochs=3)},
        {"outcome": _outcome(epochs=10**9)},
        {"outcome": _outcome(value=7.0)},
        {"outcome": _outcome(state="PRUNED")},
        {"measurements": [{"epoch": 6, "metrics": {"accuracy": 0.5}}]},
        {"measurements": [{"epoch": 1, "metrics": {"accuracy": -0.5}}]},
        {"measurements": [{"epoch": 2, "metrics": {}}, {"epoch": 1, "metrics": {}}]},
        {"measurements": [{"epoch": 1, "metrics": {f"m{n}": 1.0 for n in range(65)}}]},
    ],
    ids=lambda entry: json.dumps(entry)[:60],
)
def test_reports_on_a_trial_that_is_held(seeded: Seeded, entry: dict[str, Any]) -> None:
    path = f"/v1/workers/{seeded.ids['worker_id']}/reports"
    report = {"trial_id": seeded.ids["trial_id"], "attempt": int(seeded.ids["attempt"]), **entry}
    answer = seeded.send("POST", path, json={"reports": [report]})
    assert answer.status_code == 422, answer.text
    held = seeded.send("GET", f"/v1/trials/{seeded.ids['trial_id']}").json()
    assert held["state"] == "RUNNING"


@pytest.mark.parametrize("text", _NUMBERS + _TEXTS, ids=lambda text: ascii(text)[:24])
def test_forms_of_the_page(seeded: Seeded, text: str) -> None:
    study = f"/ui/studies/{seeded.ids['study_id']}"
    forms = [
        (f"{study}/extend", {"max_trials": text}),
        (f"{study}/enqueue", {"units": text, "activation": text}),
        (f"{study}/clone", {"name": text}),
        ("/ui/tokens", {"name": text, "scope": text, "expires_in_s": text, "days": text}),
        ("/ui/studies/new/compose", {"name": text, "max_trials": text, "units_low": text, "builtin": text}),
        ("/ui/studies/new/check", {"yaml": f"name: {text}\ndataset: {{builtin: iris}}\nspace: {{units: {text}}}"}),
        ("/ui/studies/new/check", {"text": f"name: {text}", "definition": f"name: {text}"}),
        ("/ui/sign-in", {"token": text}),
    ]
    begun = time.perf_counter()
    for path, fields in forms:
        answer = seeded.send("POST", path, data=fields, headers={"HX-Request": "true"})
        assert _sound(answer), (path, answer.status_code, answer.text[:200])
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("text", ["\u202eevil", "a\u200bb", "a\u2028b", "tag\U000e0041", "a\u00adb", "\u200d👩"])
def test_names_show_what_they_are(seeded: Seeded, text: str) -> None:
    study, study_path = create_definition(text), f"/v1/studies/{seeded.ids['study_id']}"
    assert seeded.send("POST", "/v1/studies", json=study).status_code == 422
    checked = seeded.send("POST", "/v1/studies/validate", json=study).json()
    assert [problem["field"] for problem in checked["errors"]] == ["name"]
    for method, path, body in (
        ("PATCH", study_path, {"name": text}),
        ("PATCH", study_path, {"labels": {text: "x"}}),
        ("PATCH", study_path, {"labels": {"x": text}}),
        ("POST", f"{study_path}/clone", {"name": text}),
        ("POST", "/v1/tokens", {"name": text, "scopes": ["read"]}),
        ("POST", "/v1/workers", {"name": text}),
    ):
        refused = seeded.send(method, path, json=body)
        assert refused.status_code == 422, (method, path)
        assert "invisible" in refused.json()["detail"]
    upload = {"file": ("x.csv", b"a,label\n" + b"1,x\n2,y\n" * 20), "name": (None, text)}
    assert seeded.send("POST", "/v1/datasets", files=upload).status_code == 422


def test_joined_emoji_and_other_scripts_are_names(seeded: Seeded) -> None:
    for name in ("👩‍🔬 Ünïcode", "研究 №1", "דוגמה", "❤️‍🔥"):
        made = seeded.send("POST", "/v1/tokens", json={"name": name, "scopes": ["read"]})
        assert (made.status_code, made.json()["name"]) == (201, name)


def create_definition(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "dataset": {"builtin": "iris"}, "space": _SPACE, "budget": {"max_trials": 1}} | changes


def test_a_trial_has_so_many_rows_and_no_more(seeded: Seeded) -> None:
    large = create_definition("x", training={"max_epochs": 100_000}, split={"folds": 50})
    refused = seeded.send("POST", "/v1/studies", json=large)
    assert refused.status_code == 422
    assert "100,000 epochs over all folds" in refused.json()["detail"]


def _forged(token: str, value: Any) -> Iterator[str]:
    scope, *values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for place in range(len(values)):
        raw = json.dumps([scope, *values[:place], value, *values[place + 1 :]])
        yield base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def test_cursors_of_every_order(service: InProcessApi) -> None:
    """Over both databases, which refuse different texts."""
    seeded = _seed(service)
    study = f"/v1/studies/{seeded.ids['study_id']}"
    lists = ["/v1/studies?", "/v1/workers?", f"{study}/leaderboard?"]
    lists += [
        f"{study}/trials?sort={sort}&" for sort in ("number", "value", "created_at", "param.activation", "param.units")
    ]
    tokens = 0
    for path in lists:
        if path in lists[:2]:
            create_study(service.client, service.admin)
            Worker.register(service.client, service.admin)
        token = seeded.send("GET", f"{path}limit=1").json()["next_page_token"]
        assert token, path
        for value in ("\ud800", "a\x00b", "\x00", 2**63, -(2**63) - 1, 1e300, True, None, "2026-13-99", "x" * 1_000):
            for forged in _forged(token, value):
                answer = seeded.send("GET", f"{path}limit=1&page_token={forged}")
                assert answer.status_code in (200, 422), (path, value, answer.text)
                tokens += 1
    assert tokens > 100
