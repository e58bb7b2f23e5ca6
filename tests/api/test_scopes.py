"""Who may do what: every route of the running application against every scope."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from api.guard import Guard
from api.limits.failed_logins import FailedLogins
from api.web.page_routes import SessionGuard
from hpsearch.settings import Settings
from tests.api.conftest import InProcessApi

_PUBLIC = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/{asset}"}
_IDS = dict.fromkeys(
    ("study_id", "trial_id", "worker_id", "dataset_id", "token_id"), "01a1fcaa-8692-752e-b261-aadb553fcee8"
)


def _routes() -> Iterator[APIRoute]:
    """Return the routes of the interface; those of the page have a key of another kind and tests of their own."""
    for route in create_app(Settings()).routes:
        assert isinstance(route, APIRoute), route
        if not isinstance(_guard(route), SessionGuard):
            yield route


def _guard(route: APIRoute) -> Guard:
    (guard,) = [d.dependency for d in route.dependencies if isinstance(d.dependency, Guard)]
    return guard


def _method(route: APIRoute) -> str:
    assert route.methods
    (method,) = route.methods
    return method


def _name(route: APIRoute) -> str:
    return f"{_method(route)} {route.path}"


_GUARDED = [route for route in _routes() if route.path not in _PUBLIC]


def test_every_route_but_the_public_ones_wants_a_scope() -> None:
    for route in _routes():
        assert bool(_guard(route).scopes) == (route.path not in _PUBLIC), _name(route)


def test_the_contract_is_served() -> None:
    served = {_name(route) for route in _routes()}
    wanted = """
        POST /v1/datasets | GET /v1/datasets | GET /v1/datasets/{dataset_id} | DELETE /v1/datasets/{dataset_id}
        GET /v1/datasets/{dataset_id}/profile | GET /v1/datasets/{dataset_id}/content
        POST /v1/studies | GET /v1/studies | POST /v1/studies/validate | POST /v1/studies/preview
        GET /v1/studies/{study_id} | PATCH /v1/studies/{study_id} | DELETE /v1/studies/{study_id}
        POST /v1/studies/{study_id}/pause | POST /v1/studies/{study_id}/resume | POST /v1/studies/{study_id}/stop
        POST /v1/studies/{study_id}/cancel | POST /v1/studies/{study_id}/extend | POST /v1/studies/{study_id}/clone
        POST /v1/studies/{study_id}/retry-failed | GET /v1/studies/{study_id}/trials
        POST /v1/studies/{study_id}/trials
        GET /v1/studies/{study_id}/leaderboard | GET /v1/studies/{study_id}/events | GET /v1/studies/{study_id}/history
        GET /v1/studies/{study_id}/export | GET /v1/studies/{study_id}/model | GET /v1/trials/{trial_id}
        GET /v1/trials/{trial_id}/model | GET /v1/trials/{trial_id}/measurements | POST /v1/trials/{trial_id}/stop
        POST /v1/trials/{trial_id}/retry | POST /v1/workers | GET /v1/workers
        POST /v1/workers/{worker_id}/claims
        POST /v1/workers/{worker_id}/reports | POST /v1/workers/{worker_id}/drain | POST /v1/workers/{worker_id}/enable
        POST /v1/workers/{worker_id}/disable | POST /v1/tokens | GET /v1/tokens | DELETE /v1/tokens/{token_id}
        PUT /v1/workers/{worker_id}/trials/{trial_id}/model | GET /healthz | GET /readyz | GET /metrics
    """
    assert {name.strip() for name in wanted.replace("\n", "|").split("|") if name.strip()} <= served


@pytest.mark.parametrize("route", _GUARDED, ids=_name)
def test_each_route_against_each_scope(shared_api: InProcessApi, route: APIRoute) -> None:
    method, path = _method(route), route.path.format(**_IDS)
    allowed = _guard(route).scopes | {"admin"}
    for scope in ("read", "submit", "worker", "admin"):
        answer = shared_api.client.request(method, path, headers=shared_api.headers[scope])
        assert answer.status_code < 500
        if scope in allowed:
            assert answer.status_code not in (401, 403), (scope, answer.text)
        else:
            assert answer.status_code == 403, (scope, answer.text)
            assert answer.json()["code"] == "auth.missing_scope"
    bodies = set()
    for bad in _bad_headers():
        answer = shared_api.client.request(method, path, headers=bad)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        request_id = answer.json()["request_id"]
        assert request_id == answer.headers["X-Request-ID"]
        bodies.add(answer.text.replace(request_id, "…"))
    assert len(bodies) == 1, "the reason is nobody's business"
    token = shared_api.headers["admin"]["Authorization"].removeprefix("Bearer ")
    for cookie in ("token", "hpsearch_session", "hpsearch_session_8000"):
        answer = shared_api.client.request(method, path, headers={"Cookie": f"{cookie}={token}"})
        assert answer.status_code == 401
    shared_api.app.state.shared.failed_logins = FailedLogins()


def _bad_headers() -> list[dict[str, str]]:
    return [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic aGk6aGk="},
        {"Authorization": "Bearer hps_0000000000000000_" + "A" * 43},
        {"Authorization": "Bearer ../../etc/passwd"},
        {"Cookie": "token=hps_0000000000000000_x"},
    ]


def test_the_matrix_of_the_contract() -> None:
    """The rights written out, so that a change of one is seen."""
    rights = {_name(route): _guard(route).scopes for route in _GUARDED}
    assert rights["POST /v1/studies"] == rights["DELETE /v1/studies/{study_id}"] == {"submit"}
    assert rights["POST /v1/tokens"] == rights["GET /v1/tokens"] == rights["DELETE /v1/tokens/{token_id}"] == {"admin"}
    for name, scopes in rights.items():
        if name.endswith(("/claims", "/reports")) or name.startswith("PUT ") or name == "POST /v1/workers":
            assert scopes == {"worker"}, name
        elif name.startswith("GET ") and not name.endswith(("/content", "/tokens")):
            assert "read" in scopes, name
